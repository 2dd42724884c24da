"""What other seeds, or other images, do to an accuracy: intervals of means over trainings, and which cannot be told apart.

Numbers in, numbers out. The spread of few trainings of one network says next to nothing, so it is pooled over the networks that
were trained again: of each the variance is taken as the same multiple of share (1 - share), as for overdispersed proportions
(McCullagh and Nelder 1989, "Generalized Linear Models", section 4.5).

Seeds share their validation images. The interval of their mean adds two parts in quadrature: Wilson's for the draw of the images,
Student's t for the seeds (MOVER: Zou and Donner 2008, "Construction of confidence limits about effect measures"). What both hold,
the images on which the seeds disagree, is counted twice, so it is rather too wide.

Folds have images of their own but share most of their training images, so that their results are no independent draws: Student's t
on the variance between folds, times 1 / folds + (validated on) / (trained on), the correction of Nadeau and Bengio 2003, "Inference
for the generalization error". It is never narrower than Wilson's interval for all images in the folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from nas.intervals import Z95, wilson


@dataclass(frozen=True)
class Noise:
    """How far apart trainings of one network lie.

    Attributes:
        ratio: Variance between trainings of one network over share (1 - share).
        freedom: Degrees of freedom that it was measured with.
        trainings: How many a mean is of.
        images: Validation images behind a mean, all folds together.
        folds: Into how many folds the images were cut; 0: all trainings share their images.
    """

    ratio: float
    freedom: int
    trainings: int
    images: int
    folds: int = 0

    def deviation(self, share: float) -> float:
        """Returns the standard deviation of one training of a network whose accuracy is `share`."""
        return math.sqrt(self.ratio * share * (1 - share))

    def deviation_of_mean(self, share: float, trainings: int) -> float:
        """Returns the standard deviation of a mean over so many trainings.

        Folds share images, so their means stray further than the number of folds says (Nadeau and Bengio 2003, section 3).
        """
        overlap = 1 / (self.folds - 1) if self.folds else 0.0
        return self.deviation(share) * math.sqrt(1 / trainings + overlap)

    def interval(self, share: float) -> tuple[float, float]:
        """Returns the 95 % interval of a mean accuracy."""
        low, high = wilson(share, self.images)
        half = self._half(share)
        if self.folds:
            return max(0.0, min(low, share - half)), min(1.0, max(high, share + half))
        return max(0.0, share - math.hypot(share - low, half)), min(1.0, share + math.hypot(high - share, half))

    def indistinguishable(self, one: float, other: float) -> bool:
        """Returns whether two mean accuracies are no further apart than 95 % of equals would be.

        The images are taken as drawn for each network by itself, as in `nas.intervals.indistinguishable`.
        """
        pooled = (one + other) / 2
        drawn = 0.0 if self.folds else 2 * pooled * (1 - pooled) / self.images
        return abs(one - other) <= math.sqrt(Z95**2 * drawn + 2 * self._half(pooled) ** 2)

    def _half(self, share: float) -> float:
        """Returns how far trainings let a mean stray to either side."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.975)) * self.deviation_of_mean(share, self.trainings)


def measured_noise(shares: Sequence[Sequence[float]], images: int, *, folds: int = 0, trainings: int | None = None) -> Noise | None:
    """Returns the noise of trainings.

    Args:
        shares: Accuracies, one sequence a network; longer ones weigh more.
        images: Validation images behind the mean of such a sequence.
        folds: Into how many folds the images were cut; 0: the sequences are seeds on the same images.
        trainings: How many a mean is of; None: as many as the first sequence has that is longer than one.

    Returns:
        None where nothing was trained twice, or the images are not known.
    """
    told = [own for own in shares if len(own) > 1 and 0 < fmean(own) < 1]
    if not told or not images:
        return None
    freedom = sum(len(own) - 1 for own in told)
    ratio = sum((len(own) - 1) * variance(own) / (fmean(own) * (1 - fmean(own))) for own in told) / freedom
    return Noise(ratio, freedom, trainings or len(told[0]), images, folds)
