"""The image classifier: every backbone answers the same questions."""

from pathlib import Path
from typing import Any, Literal

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from openplanet.errors import CheckpointError, RecipeError
from openplanet.models.heads.head import ClassMap
from openplanet.models.image_model import ImageConfig, ImageModel, count_parameters

CONFIGS = [
    ImageConfig("test_resnet", 32),
    ImageConfig("test_efficientnet", 32, embedding_dim=24),
    ImageConfig("test_vit", 160),
    ImageConfig("mobilenetv3_small_050", 32),  # its head is wider than its features
    ImageConfig("test_resnet", 32, feature_norm=True),
]


def photos(count: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.backbone)
def test_every_backbone(config: ImageConfig) -> None:
    torch.manual_seed(0)
    model = ImageModel(config, num_cells=7).eval()
    x = photos(3, config.image_size)
    embedding, logits = model.embed(x), model(x)
    assert embedding.shape == (3, model.embedding_dim) and logits.shape == (3, 7)
    torch.testing.assert_close(model.head(embedding)[0], logits)
    torch.testing.assert_close(model(x.float()), logits)  # augmented photos come as floats
    torch.testing.assert_close(model(x[:1]), logits[:1], rtol=1e-3, atol=1e-4)  # alone or in company
    model.train()(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert count_parameters(config, 7) == sum(p.numel() for p in model.parameters())


def test_inception_with_its_auxiliary_classifier() -> None:
    model = ImageModel(ImageConfig("inception_v3", 299, aux_head=True), num_cells=5)
    x = photos(2, 299)  # the auxiliary classifier takes nothing smaller
    logits, aux = model.train()(x)
    assert logits.shape == aux.shape == (2, 5)
    (logits.sum() + aux.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(x).shape == (2, 5)


@pytest.mark.parametrize(
    "config",
    [
        ImageConfig("vit_tiny_patch16_224", 32),
        ImageConfig("inception_v3", 96, aux_head=True),
    ],
    ids=lambda config: config.backbone,
)
def test_photos_that_the_backbone_cannot_take_are_told_at_once(config: ImageConfig) -> None:
    model = ImageModel(config, 3)
    with pytest.raises(RecipeError, match=rf"{config.backbone} cannot take photos of {config.image_size} px"):
        model.check_input()
    assert model.training


def test_asking_changes_no_weight() -> None:
    model = ImageModel(ImageConfig("test_resnet", 32), 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    model.check_input()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and all(module.training for module in model.modules())


@pytest.mark.parametrize("head", ["softmax", "embeddings"])
def test_levels_are_trained_apart_and_answer_as_a_product(head: Literal["softmax", "embeddings"]) -> None:
    torch.manual_seed(0)
    levels = ClassMap((2,), torch.tensor([[0, 0, 1, 1, 1]]))
    model = ImageModel(ImageConfig("test_resnet", 32, head=head), 5, levels)
    x = photos(3, 32)
    fine, coarse = model.train()(x)
    assert fine.shape == (3, 5) and coarse.shape == (3, 2)
    (fine.square().sum() + coarse.square().sum()).backward()
    assert all(p.grad is not None for p in model.parameters())
    answer = model.eval()(x)
    torch.testing.assert_close(answer.exp().sum(dim=1), torch.ones(3))
    torch.testing.assert_close(answer, model.combine(model.classify(model.features(x))))
    assert not any("ancestors" in name for name in model.state_dict())


def test_weights_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    make = timm.create_model

    def offline(name: str, pretrained: bool, **arguments: Any) -> Any:
        asked.append(pretrained)
        return make(name, pretrained=False, **arguments)

    monkeypatch.setattr(timm, "create_model", offline)
    other = ImageModel(ImageConfig("test_resnet.r160_in1k", 32, mean=(0.4, 0.4, 0.4)), 3)
    with pytest.raises(RecipeError, match=r"another mean: --set mean=0.5,0.5,0.5"):
        other.load_hub_backbone()
    good = ImageModel(ImageConfig("test_resnet.r160_in1k", 32), 3)
    before = good.backbone.state_dict()["conv1.0.weight"].clone()
    good.load_hub_backbone()
    assert asked[-1] and not torch.equal(good.backbone.state_dict()["conv1.0.weight"], before)

    def absent(name: str, pretrained: bool, **arguments: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", absent)
    with pytest.raises(CheckpointError, match=r"no network.*weights=FILE"):
        good.load_hub_backbone()


def test_normalisation_is_inside_and_follows_the_configuration() -> None:
    config = ImageConfig("test_resnet", 32, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    result = ImageModel(config, 2).normalise(white)[0, :, 0, 0]
    torch.testing.assert_close(result, torch.tensor([1.0, 1.0, 0.0]))


def test_an_unknown_backbone_is_named_with_near_ones() -> None:
    with pytest.raises(RecipeError, match=r"resnet51.*near"):
        ImageModel(ImageConfig("resnet51", 32), 2)
    with pytest.raises(RecipeError, match="does not take these arguments"):
        ImageModel(ImageConfig("test_resnet", 32, backbone_args={"window_size": 7}), 2)
    with pytest.raises(RecipeError, match="'no_such_thing' is not allowed"):
        ImageModel(ImageConfig("test_resnet", 32, backbone_args={"no_such_thing": 1}), 2)


def test_backbone_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = ImageModel(ImageConfig("test_resnet", 32), 3)
    file = tmp_path / "weights.safetensors"
    state = {k: v.contiguous() for k, v in source.backbone.state_dict().items()}
    save_file({**state, "fc.weight": torch.zeros(1000, 96), "fc.bias": torch.zeros(1000)}, file)
    model = ImageModel(ImageConfig("test_resnet", 32), 9)
    model.load_backbone(file)  # the file's classifier of 1000 classes is left aside
    assert all(torch.equal(v, state[k]) for k, v in model.backbone.state_dict().items())


def test_backbone_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = ImageModel(ImageConfig("test_resnet", 32), 3)
    good = {k: v.contiguous() for k, v in model.backbone.state_dict().items()}
    name = "conv1.0.weight" if "conv1.0.weight" in good else next(iter(good))
    cases = {
        "missing": {k: v for k, v in good.items() if k != name},
        "unexpected": {**good, "extra.weight": torch.zeros(1)},
        "another shape": {**good, name: torch.zeros(1)},
    }
    for what, state in cases.items():
        file = tmp_path / f"{what}.safetensors"
        save_file(state, file)
        with pytest.raises(CheckpointError, match=what) as caught:
            model.load_backbone(file)
        assert str(file) in str(caught.value)
    (tmp_path / "broken").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    for path in (tmp_path / "broken", tmp_path / "absent"):
        with pytest.raises(CheckpointError, match=path.name):
            model.load_backbone(path)


SHARED_WEIGHTS = {
    "mobilenetv2_100_tfslim": ImageConfig("mobilenetv2_100", 64, backbone_args={"pad_type": "same"}),
    "tf_efficientnet_b4_allkeys_block6.1_zeroinit": ImageConfig("tf_efficientnet_b4", 64),
}


@pytest.mark.parametrize("name", SHARED_WEIGHTS)
def test_the_shared_imagenet_weights_load_and_a_missing_key_is_refused(
    shared_weights: Path, name: str, tmp_path: Path
) -> None:
    model, file = ImageModel(SHARED_WEIGHTS[name], 3), shared_weights / f"{name}.safetensors"
    before = model.backbone.state_dict()["blocks.6.0.conv_pw.weight"].clone()
    model.load_backbone(file)
    theirs, ours = load_file(file), model.backbone.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours if not k.endswith("num_batches_tracked"))
    assert not torch.equal(before, ours["blocks.6.0.conv_pw.weight"])
    theirs.pop("blocks.6.0.conv_pw.weight")
    save_file(theirs, tmp_path / "lacking.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: blocks\.6\.0\.conv_pw\.weight"):
        model.load_backbone(tmp_path / "lacking.safetensors")
    other = ImageModel(ImageConfig("test_resnet", 32), 3)
    with pytest.raises(CheckpointError, match=r"do not fit backbone test_resnet: missing: .* more; unexpected: "):
        other.load_backbone(file)
