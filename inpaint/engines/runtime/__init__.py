"""What all engines share: device, memory budget, residency of parts, checkpoints, previews."""
