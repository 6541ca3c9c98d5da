"""The metrics of outcomes, each explained: of predictions with ids, joined with their truths."""

from __future__ import annotations

from obsagent.answer.explanation import Word
from obsagent.answer.outcome_metrics import ESTIMATED, ESTIMATES, FIGURES, TWO_CLASSES, figure_of

HOW = {
    "macro": "the mean over the classes",
    "micro": "of all decisions together: the accuracy",
    "weighted": "the mean over the classes, each by how many truths it has",
}

OF_OUTCOMES = {
    "accuracy": Word(
        "share of predictions that are right", "Of those whose truth is known.", "accuracy model=fraud by version"
    ),
    "precision": Word(
        "share of positive predictions that are right",
        "True positives of all that was predicted positive; of two classes.",
        "precision model=fraud since 7d step 1d",
    ),
    "recall": Word(
        "share of positive truths that were found",
        "True positives of all that is positive; of two classes.",
        "recall model=fraud by country since 7d vs 7d ago where count above 500 bottom 5",
    ),
    "f1": Word("precision and recall in one", "Their harmonic mean; of two classes.", "f1 model=fraud by version"),
    "specificity": Word(
        "share of negative truths that were found", "True negatives of all that is negative.", "specificity model=fraud"
    ),
    "mcc": Word(
        "Matthews' correlation",
        "From -1 to 1, 0 is chance: of any number of classes, however rare one is.",
        "mcc model=fraud since 7d",
    ),
    "log_loss": Word(
        "mean of -ln of the truth's probability", "Of scores that are probabilities.", "log_loss model=fraud since 7d"
    ),
    "brier": Word(
        "mean of (score - truth)²", "Of scores that are probabilities.", "brier model=fraud by version since 7d"
    ),
    "roc_auc": Word(
        "how well scores tell the classes apart",
        "The probability that a positive has a higher score than a negative: 0.5 is chance. The error bound is that of "
        "1,024 bins of scores.",
        "roc_auc model=fraud by version since 7d step 1d",
    ),
    "average_precision": Word(
        "precision over all thresholds",
        "The area under precision over recall, in steps; what chance makes is the share of positives.",
        "average_precision model=fraud since 7d",
    ),
    "calibration_error": Word(
        "how far scores are from shares",
        "Expected calibration error: how far in 16 bins of scores their mean is from the share of positives, by rows.",
        "calibration_error model=fraud since 7d",
    ),
    **{
        f"{which}_{how}": Word(
            f"{which}, {said}", f"Of any number of classes: {said}.", f"{which}_{how} model=topics since 7d"
        )
        for which in ("precision", "recall", "f1")
        for how, said in HOW.items()
    },
    "mae": Word("mean of |error|", "Of numbers; the error is prediction - truth.", "mae model=price since 7d"),
    "rmse": Word("root of the mean of error²", "Of numbers, in their unit.", "rmse model=price by version since 7d"),
    "mape": Word(
        "mean of |error / truth|", "Of numbers whose truth is not 0.", "mape model=price since 7d where mape above 10%"
    ),
    "r2": Word(
        "share of the variance that is explained",
        "1 - Σ error² / Σ (truth - mean)²: 0 is as good as the mean, below is worse.",
        "r2 model=price since 7d",
    ),
    "bias": Word("mean error", "Above 0 predictions are too high.", "bias model=price by region since 7d"),
    **{
        f"error_p{percent}": Word(
            f"{percent} of 100 errors are no larger",
            "A quantile of |prediction - truth|: error_p0 to error_p100, decimals allowed.",
            f"error_p{percent} model=price since 7d",
        )
        for percent in (50, 90, 99)
    },
    "estimated_accuracy": Word(
        "accuracy before truths come",
        "CBPE: what scores mean in the reference, applied to those of all predictions. It follows a change of what is "
        "given, not one of what it means.",
        "accuracy,estimated_accuracy model=fraud since 7d step 1d",
    ),
    **{
        ESTIMATED + name: Word(
            f"{name} before truths come",
            "See estimated_accuracy.",
            f"{ESTIMATED}{name} model={'fraud' if TWO_CLASSES in tasks else 'topics'} since 1d",
        )
        for name, tasks in ESTIMATES.items()
        if name != "accuracy"
    },
    "truth_maturity": Word(
        "share of predictions with a truth",
        "Of predictions with ids: how many of them can be judged.",
        "truth_maturity model=fraud since 7d step 1d",
    ),
    "truths": Word("how many predictions have a truth", "Those that were joined.", "truths model=fraud by version"),
    "predictions_with_id": Word(
        "how many predictions can get a truth", "Those that carry an id.", "predictions_with_id by model,version"
    ),
}
"""Name → word."""


def error_quantile(name: str) -> Word | None:
    """The word for any quantile of errors; None for another name."""
    return OF_OUTCOMES["error_p90"] if figure_of(name) is not None and name not in FIGURES else None
