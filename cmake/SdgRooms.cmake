# The rooms of the library in dependency order: each may include only what stands before it (tests/layering_test.cpp).
set(SDG_ROOMS core ranks config io tensors image report data nn vision
  flow model sample cluster metrics average regions recipe network learn cludi checkpoint
  convert latents generate conditions evaluate study bench run cli)
