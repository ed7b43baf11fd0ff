"""The tests of this folder and of those below it share the modules beside this file (photo_files, loopback, ...)."""
