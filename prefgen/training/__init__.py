"""Train a model toward one persona on a run's pairs, and measure whether it came closer (extra `prefgen[train]`).

Nothing else of prefgen imports this package: it needs torch, trl and peft.

    python -m prefgen.training outputs/planted-seven --target progressive_activists

or, in a trainer of your own, with the rows of an export as they are:

    from prefgen.training.weighted import WeightedDPOTrainer
    WeightedDPOTrainer(model, args=trl.DPOConfig(...), train_dataset=rows, processing_class=tokenizer).train()
"""
