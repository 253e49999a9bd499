"""The items of the reporting checklists, each with the topic that answers it.

CLAIM: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
Artificial Intelligence 2024;6(4):e240300. TRIPOD+AI: Collins et al., BMJ 2024;385:e078378. This module names the
items in short words of its own; the papers hold the full text.
"""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """An item of a checklist: its number, its question, and the topic that answers it."""

    number: str
    question: str
    topic: str


class Section(NamedTuple):
    """A part of a checklist."""

    name: str
    items: tuple[Item, ...]


class Checklist(NamedTuple):
    """A checklist with its source."""

    name: str
    source: str
    sections: tuple[Section, ...]


def _items(rows: str) -> tuple[Item, ...]:
    """Return items from lines of ``number | what it asks | topic``."""
    fields = ([field.strip() for field in line.split("|")] for line in rows.strip().splitlines())
    return tuple(Item(number, question, topic) for number, question, topic in fields)


CLAIM = Checklist(
    "CLAIM 2024",
    "Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300, doi:10.1148/ryai.240300",
    (
        Section("Title and abstract", _items("""
            1 | Identified as a study of AI, with the kind of technology | identification
            2 | Summary of design, methods, results and conclusions | summary
        """)),
        Section("Introduction", _items("""
            3 | Scientific and clinical background, intended use and role | background
            4 | Aims, objectives and hypotheses | objectives
        """)),
        Section("Methods: study design", _items("""
            5 | Prospective or retrospective | design
            6 | Goal of the study | goal
        """)),
        Section("Methods: data", _items("""
            7 | Sources of the data | sources
            8 | Criteria of inclusion and exclusion | eligibility
            9 | Preprocessing | preprocessing
            10 | Selection of subsets of the data | subsets
            11 | De-identification | deidentification
            12 | Handling of missing data | missing
            13 | Image acquisition | acquisition
        """)),
        Section("Methods: reference standard", _items("""
            14 | How the reference standard was obtained | reference
            15 | Why this reference standard | reference-rationale
            16 | Who annotated, and their qualification | annotators
            17 | How the test set was annotated | annotation-test
            18 | Variability between and within annotators | variability
        """)),
        Section("Methods: partitions and testing data", _items("""
            19 | How data were assigned to partitions | partitions
            20 | At which level partitions are disjoint | disjoint
            21 | Intended sample size | sample-size
        """)),
        Section("Methods: model and training", _items("""
            22 | The model in detail | model
            23 | Software and versions | software
            24 | Initialisation of the parameters | initialisation
            25 | Training in detail | training
            26 | How the final model was selected | selection
            27 | Ensembling | ensemble
        """)),
        Section("Methods: evaluation", _items("""
            28 | Measures of performance | measures
            29 | Measures of uncertainty and significance | uncertainty
            30 | Robustness or sensitivity analysis | robustness
            31 | Explainability or interpretability | explanation
            32 | Evaluation on internal data | internal
            33 | Testing on external data | external
            34 | Registration as a clinical trial | registration
        """)),
        Section("Results", _items("""
            35 | Numbers included and excluded | flow
            36 | Demographic and clinical characteristics, by partition | characteristics
            37 | Performance against the reference standard | performance
            38 | Diagnostic performance with its precision | performance
            39 | Failure analysis | failures
        """)),
        Section("Discussion", _items("""
            40 | Limitations | limitations
            41 | Implications for practice | implications
        """)),
        Section("Other information", _items("""
            42 | Full protocol or further technical details | technical
            43 | Availability of software, model and data | availability
            44 | Funding and the role of funders | funding
        """)),
    ),
)  # fmt: skip
"""All 44 items."""

TRIPOD_AI = Checklist(
    "TRIPOD+AI",
    "Collins et al., BMJ 2024;385:e078378, doi:10.1136/bmj-2023-078378",
    (
        Section("Title and abstract", _items("""
            1 | Development or evaluation of a model, target population, outcome | identification-tripod
            2 | Abstract, by its own checklist | summary
        """)),
        Section("Introduction", _items("""
            3a | Healthcare context, rationale, existing models | background
            3b | Target population, purpose in the care pathway, intended users | intended-use
            3c | Known health inequalities between groups | inequalities
            4 | Objectives: development, validation or both | objectives
        """)),
        Section("Methods: data and participants", _items("""
            5a | Sources of data, rationale, representativeness | sources
            5b | Dates of the collected data | dates
            6a | Setting, number and location of centres | setting
            6b | Eligibility criteria | eligibility
            6c | Treatments received | treatments
            7 | Preprocessing and quality checking | preprocessing
        """)),
        Section("Methods: outcome and predictors", _items("""
            8a | Outcome: definition, how and when assessed, rationale | reference
            8b | Qualifications of the outcome assessors | annotators
            8c | Blinding of the outcome assessment | blinding
            9a | Choice of initial predictors | predictors
            9b | Definition of the predictors, how and when measured | predictor-measurement
            9c | Qualifications of the predictor assessors | predictor-assessors
            10 | Sample size | sample-size
            11 | Missing data | missing
        """)),
        Section("Methods: analysis", _items("""
            12a | How the data were used, partitions | partitions
            12b | Handling of the predictors | preprocessing
            12c | Type of model, building steps, tuning, internal validation | training
            12d | Heterogeneity between clusters | heterogeneity
            12e | Measures and plots of performance | measures
            12f | Model updating | updating
            12g | How predictions were calculated | calculation
            13 | Methods for class imbalance | imbalance
            14 | Approaches to fairness | fairness
            15 | Output of the model, classification, thresholds | output
            16 | Differences between development and evaluation data | differences
            17 | Ethical approval and consent | ethics
        """)),
        Section("Open science", _items("""
            18a | Funding and the role of funders | funding
            18b | Conflicts of interest | interests
            18c | Protocol | protocol
            18d | Registration | registration
            18e | Availability of the data | availability-data
            18f | Availability of the code | availability-code
            19 | Involvement of patients and public | involvement
        """)),
        Section("Results", _items("""
            20a | Flow of participants, with and without the outcome | flow
            20b | Characteristics, overall and by source | characteristics
            20c | Comparison with the development data | differences
            21 | Participants and events in each analysis | numbers
            22 | The full model, for use by others | full-model
            23a | Performance with confidence intervals, also of subgroups | performance-subgroups
            23b | Heterogeneity of performance between clusters | heterogeneity
            24 | Results of model updating | updating
        """)),
        Section("Discussion", _items("""
            25 | Interpretation, fairness, previous studies | interpretation
            26 | Limitations and their effects | limitations
            27a | Handling of poor or unavailable input | poor-input
            27b | What users must do, and their expertise | users
            27c | Next steps, applicability and generalisability | next-steps
        """)),
    ),
)  # fmt: skip
"""All 27 items, 52 with their parts."""
