"""Final training: chosen networks at length, on several cores, resumable; the test images are measured once, when all is trained.

train_networks(networks, data, epochs=..., budget=...) -> FinalTraining
train_network(network, data, ...)                      -> TrainedNetwork
"""

from __future__ import annotations

from nas.final.results import FinalTraining, TrainedNetwork, TrainedSeed
from nas.final.training import TrainingStopped, train_network, train_networks

__all__ = ["FinalTraining", "TrainedNetwork", "TrainedSeed", "TrainingStopped", "train_network", "train_networks"]
