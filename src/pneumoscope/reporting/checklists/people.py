"""The topics that only people know: the program names what they have to add, and guesses nothing."""

from __future__ import annotations

from pneumoscope.reporting.checklists.answer import TopicAnswer, leave_open


def answer_people_topics() -> dict[str, TopicAnswer]:
    """Return the topics of ethics, recruitment, readers, funding and the like."""
    topics = {
        "background": "the clinical context, current practice and earlier models, with references",
        "inequalities": "known health inequalities between groups of people",
        "design": "whether images were collected before or after the study was planned",
        "dates": "start and end of the collection, by source",
        "setting": "kind, number and places of the centres that took the images",
        "treatments": "treatments before the image was taken, where they matter (tubes, lines, ventilation)",
        "deidentification": "how the sources removed what identifies patients",
        "reference-rationale": "why these labels stand for the disease, and what the alternatives were",
        "annotators": "who labelled the images, with what qualification and instructions",
        "annotation-test": "how the test images in particular were labelled",
        "variability": "agreement between and within those who labelled, and how disagreement was settled",
        "blinding": "whether those who labelled knew anything that the model is later compared with",
        "ethics": "the committee, its decision, and consent or its waiver, for each source",
        "funding": "who paid, and what part they had",
        "interests": "conflicts of interest of all authors",
        "protocol": "where the protocol is, or that there was none",
        "registration": "register and number, or that the study was not registered",
        "involvement": "how patients and public took part, or that they did not",
        "implications": "what the results could mean for practice, and what stands in the way",
        "interpretation": "the main results in the light of earlier studies and of fairness",
        "next-steps": "what should be studied next, and where the model might be of use",
    }
    stated = {"implications": "None is claimed: research and teaching only."}
    return {topic: leave_open(to_add, stated.get(topic, "")) for topic, to_add in topics.items()}
