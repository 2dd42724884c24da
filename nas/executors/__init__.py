"""Where jobs run: in processes that can be killed. `base` is what every executor and the worker agree on."""
