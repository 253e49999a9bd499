"""The caveats of a site's figures, in plain sentences."""

from __future__ import annotations

from pneumoscope.core.labels import display_name
from pneumoscope.server.reading.figures import Counts, Verification, VerifiedShare
from pneumoscope.stats.reader_study import ReaderStudy


def write_caveats(
    counts: Counts, verification: Verification, primary: str, known: int, study: ReaderStudy | None = None
) -> tuple[str, ...]:
    """Return the caveats, the most important first.

    Args:
        counts: Numbers of studies, readers and reads.
        verification: Which studies have a reference standard.
        primary: The label that the model looks for.
        known: Number of studies whose patient is known.
        study: The comparison of likelihoods over readers and cases, where there is one.
    """
    caveats = [_describe_verification(counts, verification)]
    if verification.conflicting:
        caveats.append(
            f"The reference results of {_plural(len(verification.conflicting))} contradict each other about "
            f"{display_name(primary)}: left out of sensitivity and specificity, and listed."
        )
    if verification.after_answer:
        caveats.append(
            f"The reference result of {_plural(verification.after_answer)} was entered by someone who had been shown "
            "a model's answer: it may not be independent of it (review bias)."
        )
    if counts.refused:
        caveats.append(
            f"The model kept silent on {_plural(counts.refused)}. Its sensitivity and specificity are given twice: "
            "without them, and with them counted as not positive."
        )
    if counts.aided:
        caveats.append(
            "Aided reads were written after the model's answer had been shown: that they agree with it is no second "
            "opinion, and they are no labels."
        )
    if counts.readers:
        who = "this reader" if counts.readers == 1 else f"these {counts.readers} readers"
        allows = study is not None and study.difference.low is not None
        caveats.append(
            f"Intervals of agreement, changes, sensitivity and specificity hold for {who}: other patients are allowed "
            f"for, other readers are not.{' The comparison of likelihoods allows for other readers too.' * allows}"
        )
    if counts.studies > known:
        caveats.append(
            f"The patient of {_plural(counts.studies - known)} is not known: each is counted as a patient of its own, "
            "and if some are of one patient the true intervals are wider."
        )
    return tuple(caveats)


def _describe_verification(counts: Counts, verification: Verification) -> str:
    if not counts.studies:
        return "No study has a final read yet."
    if not verification.verified:
        return (
            f"None of the {_plural(counts.studies)} read has a reference standard: how often anyone is right can't "
            "be said. Agreement is not accuracy."
        )
    text = (
        f"{verification.verified} of {_plural(counts.studies)} read "
        f"({verification.verified / counts.studies:.0%}) have a reference standard. Sensitivity and specificity hold "
        "for these alone."
    )
    if verification.verified == counts.studies:
        return text
    shares = [_describe_share(kind, share) for kind, share in verification.by_answer.items() if share.studies]
    among = f" Verified by what the model said: {'; '.join(shares)}." if shares else ""
    return (
        f"{text} The others may differ: the choice of studies to verify was made in view of the patient, the "
        "radiograph or an answer. Where positives are verified more often, sensitivity looks too high and specificity "
        f"too low (partial verification bias).{among}"
    )


def _describe_share(kind: str, share: VerifiedShare) -> str:
    return f"{kind} {share.verified} of {share.studies}"


def _plural(count: int) -> str:
    return "1 study" if count == 1 else f"{count} studies"
