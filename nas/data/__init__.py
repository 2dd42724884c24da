"""Images and labels: read, split, decoded once, mapped into memory by every process. Needs numpy, and Pillow for image files.

load_data("fashion-mnist-12k")      -> Dataset      names, folders, CSV, .npz, FILE.py:function, arrays
Dataset.open(folder)                -> Dataset      what workers do
describe(dataset)                   -> str          what `nas data` prints
prepare_image(photo, preprocessing) -> (C, H, W)    the one way from a photo to bytes
joined(dataset, folder)             -> Dataset      training and validation images as one training split
excerpt(dataset, folder, images)    -> Dataset      a few images of it
fold(dataset, folder, number, n)    -> Dataset      the same images cut anew, one of n folds to validate on
"""

from __future__ import annotations

from nas.data.dataset import Dataset
from nas.data.image import prepare_image
from nas.data.load import DATA_SETS, load_data
from nas.data.summary import describe
from nas.data.views import excerpt, fold, joined

__all__ = ["DATA_SETS", "Dataset", "describe", "excerpt", "fold", "joined", "load_data", "prepare_image"]
