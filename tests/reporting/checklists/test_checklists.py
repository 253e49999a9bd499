"""The checklists are complete, claim nothing that a program cannot know, and follow the recorded facts."""

from __future__ import annotations

import re

import pytest

from pneumoscope.bundle.card import Card, CheckNote, CheckSummary, LabelDefinition, read_card
from pneumoscope.bundle.evidence import Fact, Opening
from pneumoscope.export.card_builder import LEAKING
from pneumoscope.recipes.classes import note_left_out
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.reporting.checklists.answer import TopicAnswer
from pneumoscope.reporting.checklists.catalogue import CLAIM, TRIPOD_AI
from pneumoscope.reporting.checklists.data import _subsets
from pneumoscope.reporting.checklists.fill import answer_topics, fill_checklists
from pneumoscope.reporting.model_card import render_model_card
from pneumoscope.reporting.pages.run_report import render_run_page
from pneumoscope.reporting.record import Record

bundles = pytest.importorskip("bundles")
pytest.importorskip("onnx")

PARTS_OF_TRIPOD = {
    3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc",
}  # fmt: skip
"""Item -> its parts, from Table 2 of Collins et al., BMJ 2024;385:e078378."""


@pytest.fixture
def card(tmp_path) -> Card:
    labels = tuple(
        LabelDefinition(
            name=name, members=(name,), reference_standard="unknown", images={"train": 7, "validation": 3, "test": 2}
        )
        for name in ("covid-19", "normal")
    )
    return read_card(bundles.write_bundle(tmp_path, ("covid-19", "normal")))[0].model_copy(update={"labels": labels})


def by_number(record: Record, name: str) -> dict[str, TopicAnswer]:
    [one] = [filled for filled in fill_checklists(record) if filled.checklist.name == name]
    return {item.number: answer for _, items in one.sections for item, answer in items}


def test_claim_2024_has_its_44_items_in_order():
    numbers = [item.number for section in CLAIM.sections for item in section.items]
    assert numbers == [str(n) for n in range(1, 45)]


def test_tripod_ai_has_its_27_items_with_their_52_parts_in_order():
    numbers = [item.number for section in TRIPOD_AI.sections for item in section.items]
    expected = [f"{n}{part}" for n in range(1, 28) for part in PARTS_OF_TRIPOD.get(n, ("",))]
    assert numbers == expected
    assert len(numbers) == 52


def test_a_space_stands_between_an_answer_and_its_section(card):
    page = render_run_page(Record(card, "a" * 64))
    assert "</a>" in page
    assert not re.search(r"\S<span class=\"soft small\">", page)


def test_every_item_has_an_answer_and_every_answer_an_item(card):
    topics = {item.topic for checklist in (CLAIM, TRIPOD_AI) for s in checklist.sections for item in s.items}
    assert topics == set(answer_topics(Record(card, "a" * 64)))


def test_an_open_answer_has_an_addition_and_a_complete_one_a_text(card):
    for topic, answer in answer_topics(Record(card, "a" * 64)).items():
        assert bool(answer.to_add) == (answer.status in ("partly", "not reported")), topic
        assert answer.text or answer.status == "not reported", topic


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("CLAIM 2024", ("3", "5", "11", "15", "16", "17", "18", "34", "41", "44")),
        ("TRIPOD+AI", ("3a", "3c", "5b", "6a", "8b", "8c", "17", "18a", "18b", "18c", "18d", "19", "25")),
    ],
)
def test_topics_that_only_people_know_are_not_reported(card, name, numbers):
    answers = by_number(Record(card, "a" * 64), name)
    assert {number: answers[number].status for number in numbers} == dict.fromkeys(numbers, "not reported")


def test_counts_cover_all_items(card):
    assert [sum(one.counts.values()) for one in fill_checklists(Record(card, "a" * 64))] == [44, 52]


def test_numbers_by_part_are_those_of_the_card(card):
    assert "train 14; validation 6; test 4" in by_number(Record(card, "a" * 64), "CLAIM 2024")["19"].text


def test_a_test_is_reported_after_its_opening(card):
    closed = by_number(Record(card, "a" * 64), "CLAIM 2024")["32"]
    assert (closed.status, "test" in closed.to_add) == ("partly", True)
    opening = Opening(
        bundle="a" * 64, time="2026-01-01T00:00:00+00:00", part="test", data="d", images=4, earlier_openings=0,
        group_kind="image", headline={}, command="",
    )  # fmt: skip
    assert by_number(Record(card, "a" * 64, facts=(opening,)), "CLAIM 2024")["32"].status == "reported"


def test_audit_and_acceptance_are_reported_when_evidence_has_them(card):
    before = by_number(Record(card, "a" * 64), "CLAIM 2024")
    assert (before["30"].status, before["33"].status) == ("not reported", "not reported")
    facts = tuple(Fact(bundle="a" * 64, kind=kind) for kind in ("audit", "acceptance"))
    after = by_number(Record(card, "a" * 64, facts=facts), "CLAIM 2024")
    assert (after["30"].status, after["33"].status) == ("reported", "reported")


def test_without_a_recipe_the_training_is_not_reported(card):
    answers = by_number(Record(card, "a" * 64), "TRIPOD+AI")
    assert (answers["12c"].status, answers["13"].status) == ("not reported", "not reported")


def test_without_figures_the_performance_is_not_reported(card):
    assert card.metrics == ()
    assert by_number(Record(card, "a" * 64), "TRIPOD+AI")["23a"].status == "not reported"


def test_parts_that_leak_are_not_called_disjoint(card):
    checks = CheckSummary(
        checked="2026-01-01T00:00:00+00:00",
        data="d",
        findings=(CheckNote(name="patients-across-parts", severity="block", sentence="5 persons.", because="a trial"),),
    )
    answer = by_number(Record(card.model_copy(update={"gate": checks}), "a" * 64), "CLAIM 2024")["20"]
    assert answer.text == "Not at all levels: the data checks found patients-across-parts."


def test_the_subsets_name_what_was_left_out_and_not_what_a_recipe_would_leave_out(card):
    """Shenzhen has two labels: a list of all that the recipe ignores names labels that no image had."""
    recipe = load_recipe("mobilenetv2-tb")
    assert recipe.task.ignore
    left_out = ("left out by the recipe: nodule (7)",)
    for notes, ending in (
        (note_left_out(("import",), ()), "None by the recipe: all images of the manifest that have its classes."),
        (note_left_out(("import",), left_out), "Left out by the recipe, with the number of images: nodule (7)."),
        (note_left_out(left_out, ()), "Left out by the recipe, with the number of images: nodule (7)."),
        (("import",), "where the data have them."),
    ):
        about = {"images": 0, "sources": {}, "notes": notes}
        assert _subsets(Record(card, "a" * 64, recipe=recipe, data=about)).endswith(ending)
    assert _subsets(Record(card, "a" * 64, recipe=recipe)).startswith("The recipe leaves out COVID-19, ")


def test_the_report_does_not_call_an_opened_test_part_closed(card):
    page = " ".join(render_run_page(Record(card, "a" * 64)).split())
    assert "stays closed" not in page and "kept closed" not in page
    assert 'The test part measures a finished model alone, and <a href="#openings">each opening of it</a>' in page


def test_a_known_leak_stands_at_the_top_of_report_and_card(card):
    """The training was allowed: that the parts are kept apart is then untrue."""
    leak = CheckNote(
        name="patients-across-parts", severity="block", sentence="5 persons are in two.", because="a trial"
    )
    checks = CheckSummary(checked="2026-01-01T00:00:00+00:00", data="d", findings=(leak,))
    leaking = card.model_copy(update={"gate": checks, "stamps": (LEAKING, "not audited"), "limits": ()})
    page = " ".join(render_run_page(Record(leaking, "a" * 64)).split())
    text = render_model_card(leaking, "a" * 64)
    for said in (page, text):
        assert "kept apart by groups" not in said
        assert "not kept apart. The data checks found patients-across-parts: 5 persons are in two." in said
        assert said.index(LEAKING[1:]) < said.index("can a network")
    assert "Groups stay together" not in page
    assert "<strong>Groups do not stay together: the data checks found patients-across-parts.</strong>" in page
    whole = render_model_card(card, "a" * 64)
    assert "kept apart by groups" in whole and "memory" not in whole
