"""Style and behaviour of the maps, put into a page once: pan and zoom without any library or request.

A map is ``<figure class="op-map">`` with an inner ``<svg class="op-view">`` whose viewBox is moved. Marks
that must keep their size on screen are in ``<g class="op-fixed">``; the variable ``--op-k`` scales them back.
Names of cities (``op-name``, the most important first) that meet others at the size shown are hidden meanwhile.
The wheel zooms only after a click into the map or with Ctrl held: a page of maps can be scrolled past.
"""

MAP_STYLE = """
.op-map{margin:0;color:#22303a;
  font:12px/1.35 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.op-frame{position:relative;overflow:hidden;border-radius:8px;background:#dde7ec}
.op-map svg.op-view{display:block;width:100%;height:auto;outline:none;cursor:grab;touch-action:pan-y;
  user-select:none;-webkit-user-select:none}
.op-map svg.op-view.op-moved{touch-action:none}
.op-map svg.op-view:active{cursor:grabbing}
.op-frame:has(svg:focus-visible){box-shadow:0 0 0 2px #4f7f9b}
.op-fixed{transform:scale(var(--op-k,1))}
.op-cell:hover{stroke:#22303a;stroke-width:1.5px}
.op-buttons{position:absolute;right:8px;top:8px;display:none;flex-direction:column;gap:1px;
  border-radius:6px;overflow:hidden;box-shadow:0 1px 3px #22303a40}
.op-live .op-buttons{display:flex}
.op-buttons button{all:unset;box-sizing:border-box;width:28px;height:28px;text-align:center;cursor:pointer;
  background:#fffffff2;color:#22303a;font:16px/28px system-ui,sans-serif}
.op-buttons button:hover{background:#eef3f5}.op-buttons button:focus-visible{background:#cfe0e8}
.op-legend{display:flex;flex-wrap:wrap;align-items:flex-start;gap:6px 28px;padding:8px 2px 0;font-size:11.5px}
.op-legend b{font-weight:600}
.op-ramp{width:180px;height:8px;margin-top:3px;border-radius:2px}
.op-ticks{position:relative;width:180px;height:15px;color:#4a5963;font-variant-numeric:tabular-nums}
.op-wide{width:280px}
.op-ticks span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.op-ticks span:first-child{transform:none}
.op-ticks span:last-child{transform:translateX(-100%)}
.op-keys{display:flex;flex-wrap:wrap;gap:2px 16px;padding-top:2px}
.op-keys span{display:inline-flex;align-items:center;gap:5px}
.op-keys svg{width:18px;height:18px;flex:none}
.op-scale{position:absolute;right:8px;bottom:8px;display:none;font-size:10px;color:#22303a;background:#ffffffb0;
  border:solid #22303a;border-width:0 1px 1px;text-align:center;line-height:13px;white-space:nowrap}
.op-live .op-scale{display:block}
@media print{.op-buttons,.op-scale{display:none!important}}
"""

MAP_SCRIPT = """
(function(){
"use strict";
function start(figure){
  var svg=figure.querySelector("svg.op-view");if(!svg)return;
  var bar=figure.querySelector(".op-scale");
  var home=svg.viewBox.baseVal;home={x:home.x,y:home.y,w:home.width,h:home.height};
  var reach=svg.dataset.reach.split(" ").map(Number),most=+svg.dataset.zoom,degree=+svg.dataset.kmpx;
  var view=Object.assign({},home),pointers=new Map(),awake=false;
  var widest=Math.max(1,Math.min((reach[2]-reach[0])/home.w,3));
  var names=Array.from(svg.querySelectorAll(".op-name"),function(name){
    var at=name.parentNode.parentNode.transform.baseVal[0].matrix,text=name.lastChild;
    return{sign:name,x:at.e,y:at.f,start:+text.getAttribute("x"),wide:text.getComputedTextLength()};
  });
  function tidy(k){
    var taken=[{left:view.w/k-44,right:view.w/k,top:0,bottom:102}];
    names.forEach(function(name){
      var x=(name.x-view.x)/k,y=(name.y-view.y)/k;
      var box={left:x+name.start-8,right:x+name.start+name.wide+2,top:y-8,bottom:y+8};
      var free=box.top>=0&&box.bottom<=view.h/k&&box.right<=view.w/k&&taken.every(function(other){
        return box.right<other.left||box.left>other.right||box.bottom<other.top||box.top>other.bottom});
      name.sign.style.display=free?"":"none";
      if(free)taken.push(box);
    });
  }
  function clamp(v,a,b){return a>b?(a+b)/2:Math.max(a,Math.min(b,v))}
  function show(){
    view.x=clamp(view.x,reach[0],reach[2]-view.w);view.y=clamp(view.y,reach[1],reach[3]-view.h);
    svg.setAttribute("viewBox",[view.x,view.y,view.w,view.h].join(" "));
    var k=view.w/(svg.clientWidth||home.w);
    svg.style.setProperty("--op-k",k);
    tidy(k);
    svg.classList.toggle("op-moved",view.w<home.w*.999);
    if(bar&&degree){
      var km=90*k*degree,power=Math.pow(10,Math.floor(Math.log10(km)));
      var nice=[5,2,1].find(function(n){return n*power<=km})*power;
      bar.style.width=nice/(k*degree)+"px";
      bar.textContent=nice>=1?nice.toLocaleString("en")+" km":Math.round(nice*1000)+" m";
    }
  }
  function zoom(factor,x,y){
    var w=clamp(view.w*factor,home.w/most,home.w*widest);factor=w/view.w;
    if(factor===1)return false;
    view.x=x-(x-view.x)*factor;view.y=y-(y-view.y)*factor;view.w=w;view.h*=factor;show();return true;
  }
  function at(event){
    var box=svg.getBoundingClientRect();
    return{x:view.x+(event.clientX-box.left)/box.width*view.w,y:view.y+(event.clientY-box.top)/box.height*view.h};
  }
  function middle(factor){zoom(factor,view.x+view.w/2,view.y+view.h/2)}
  function reset(){view=Object.assign({},home);show()}
  svg.addEventListener("wheel",function(event){
    if(!(awake||event.ctrlKey||event.metaKey))return;
    var p=at(event),lines=event.deltaMode===1?16:1;
    if(zoom(Math.exp(clamp(event.deltaY*lines,-200,200)*.002),p.x,p.y)||event.ctrlKey)event.preventDefault();
  },{passive:false});
  svg.addEventListener("pointerdown",function(event){
    awake=true;pointers.set(event.pointerId,at(event));
    if(pointers.size===1&&event.pointerType==="mouse")svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove",function(event){
    var from=pointers.get(event.pointerId);if(!from)return;
    var to=at(event);
    if(pointers.size===1){
      if(event.pointerType!=="mouse"&&view.w>=home.w*.999)return;
      view.x+=from.x-to.x;view.y+=from.y-to.y;show();
    }else if(pointers.size===2){
      var other;pointers.forEach(function(p,id){if(id!==event.pointerId)other=p});
      var was=Math.hypot(from.x-other.x,from.y-other.y),is=Math.hypot(to.x-other.x,to.y-other.y);
      if(is>0)zoom(was/is,other.x,other.y);
    }
    pointers.set(event.pointerId,at(event));
  });
  ["pointerup","pointercancel","lostpointercapture"].forEach(function(name){
    svg.addEventListener(name,function(event){pointers.delete(event.pointerId)})});
  figure.addEventListener("pointerleave",function(event){if(event.pointerType==="mouse")awake=false});
  svg.addEventListener("touchmove",function(event){
    if(event.touches.length>1||view.w<home.w*.999)event.preventDefault()},{passive:false});
  svg.addEventListener("dblclick",function(event){var p=at(event);zoom(.5,p.x,p.y)});
  svg.addEventListener("keydown",function(event){
    var step={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]}[event.key];
    if(step){view.x+=step[0]*view.w*.1;view.y+=step[1]*view.w*.1;show()}
    else if(event.key==="+"||event.key==="=")middle(1/1.5);
    else if(event.key==="-")middle(1.5);
    else if(event.key==="0")reset();
    else return;
    event.preventDefault();
  });
  var acts={"in":function(){middle(1/1.7)},out:function(){middle(1.7)},home:reset};
  figure.querySelectorAll(".op-buttons button").forEach(function(button){
    button.addEventListener("click",acts[button.dataset.act])});
  figure.classList.add("op-live");
  new ResizeObserver(show).observe(svg);show();
}
function all(){document.querySelectorAll("figure.op-map:not(.op-live)").forEach(start)}
if(document.readyState==="loading")document.addEventListener("DOMContentLoaded",all);else all();
})();
"""
