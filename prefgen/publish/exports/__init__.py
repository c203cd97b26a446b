"""What leaves a run: rows as trainers, loaders and people read them. One file per grain, presets as data."""
