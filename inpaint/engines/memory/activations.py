"""How many bytes of activations the kinds of models take, as measured: constants that the engines and the forecast share."""

WORDS_BYTES = 300_000_000
"""The most that a text encoder, a prior or an image encoder takes: each works on one short sequence or one small picture."""

MOVQ_PIXEL_BYTES = 1780
"""What Kandinsky's decoder takes for each pixel of the extent and each byte of the number format.

2.1 GB at 768 x 768 px in 16 bits, as bench/memory.py saw on a CPU. Most of it is the MoVQ's decoding.
"""

VAE_PIXEL_BYTES = 970
"""What the decoding of an AutoencoderKL takes for each pixel and each byte of the number format.

4.06 GB at 1024 x 1024 px in float32, as seen on a CPU with SDXL's. Encoding takes 2.69 GB.
"""

DENOISER_PIXEL_BYTES = 320
"""What a guided step of a pipeline's denoiser takes for each pixel and each byte of the number format.

Twice the tensors of SDXL's UNet, which were counted without computing: 0.33 GB at 1024 x 1024 px in 16 bits.
"""

TILE_PX = 512
"""The side of the squares in which an autoencoder works where memory is short."""
