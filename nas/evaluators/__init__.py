"""What measures networks: `base` is what an evaluator is; `training` trains, `function` calls a plain function."""
