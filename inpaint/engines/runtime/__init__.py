"""What all diffusion engines share: checkpoints, schedulers, tensors, previews, compilation."""
