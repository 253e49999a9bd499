"""The outbound queue is exact under several processes, on either database."""

from __future__ import annotations

import multiprocessing

from pneumoscope.server.dicom.calling import commitment, outbound_queue
from pneumoscope.server.dicom.calling.outbound_queue import QueuedResult
from pneumoscope.server.dicom.routing.routes import Destination, RetryRule
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now, open_store
from pneumoscope.server.storage.tables import OutboundItem, ResultObject, Study
from pneumoscope.server.studies.retention import erase_old

WHERE = Destination(title="ORTHANC", host="127.0.0.1", port=4242, commit=True)
OBJECTS = 120


def add_results(store: Store, count: int) -> list[str]:
    """Rows of results of one study, without files."""
    uids = [f"2.25.{number}" for number in range(1, count + 1)]
    with store.write() as session:
        session.add(Study(id="study", received=now(), received_by="x"))
        session.flush()
        session.add_all(
            ResultObject(
                sop_uid=uid, sop_class="1.2.840.10008.5.1.4.1.1.88.22", series_uid="2.25.9", study="study",
                kind="report", model="", subject="", state="current", made=now(), blob=new_id(),
            )
            for uid in uids
        )  # fmt: skip
    return uids


def queue(store: Store, uids: list[str]) -> int:
    queued = [QueuedResult(uid, "research", "all", True) for uid in uids]
    return store.commit(lambda session: outbound_queue.enqueue(session, queued), exclusive=True)


def send_all(settings: Settings, number: int) -> list[str]:
    """Claim and finish until nothing is due, as a sender does; return what was claimed."""
    store, claimed = open_store(settings), []
    try:
        while True:
            with store.read() as session:
                if not outbound_queue.has_due(session, "research"):
                    return claimed
            worker = f"{number}-{len(claimed)}"
            claims = store.commit(lambda session, worker=worker: outbound_queue.claim(session, "research", worker))
            for claim in claims:
                claimed.append(claim.sop_uid)
                assert store.commit(lambda session, claim=claim: outbound_queue.finish(session, claim, WHERE))
    finally:
        store.close()


def test_several_processes_queue_and_send_each_result_once(shared_store: Store) -> None:
    uids = add_results(shared_store, OBJECTS)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        added = pool.starmap(queue_in_process, [(shared_store.settings, uids)] * 3)
        assert sum(added) == OBJECTS
        claimed = pool.starmap(send_all, [(shared_store.settings, number) for number in range(3)])
    assert sorted(uid for each in claimed for uid in each) == sorted(uids)
    with shared_store.read() as session:
        assert outbound_queue.count_items(session) == {"research": {"sent": OBJECTS}}


def queue_in_process(settings: Settings, uids: list[str]) -> int:
    store = open_store(settings)
    try:
        return queue(store, uids)
    finally:
        store.close()


def test_a_claim_whose_lease_has_run_out_is_taken_over_and_counts_no_more(shared_store: Store) -> None:
    uids = add_results(shared_store, 1)
    queue(shared_store, uids)
    (first,) = shared_store.commit(lambda session: outbound_queue.claim(session, "research", "first"))
    assert shared_store.commit(lambda session: outbound_queue.claim(session, "research", "second")) == []
    with shared_store.write() as session:
        session.query(OutboundItem).update({"lease": now() - 1})
    (second,) = shared_store.commit(lambda session: outbound_queue.claim(session, "research", "second"))
    assert second.sop_uid == first.sop_uid
    assert not shared_store.commit(lambda session: outbound_queue.finish(session, first, WHERE))
    assert shared_store.commit(lambda session: outbound_queue.finish(session, second, WHERE))


def test_what_is_superseded_before_it_was_sent_is_withdrawn(shared_store: Store) -> None:
    uids = add_results(shared_store, 2)
    queue(shared_store, uids)
    with shared_store.write() as session:
        session.get_one(ResultObject, uids[0]).state = "superseded"
    (claim,) = shared_store.commit(lambda session: outbound_queue.claim(session, "research", "first"))
    assert claim.sop_uid == uids[1]
    with shared_store.read() as session:
        assert outbound_queue.count_items(session) == {"research": {"withdrawn": 1, "sending": 1}}


def test_retention_waits_for_the_archive(shared_store: Store) -> None:
    uids, day = add_results(shared_store, 2), 24 * 3600.0
    queue(shared_store, uids)
    later = now() + 2 * day
    for state, committed, erased in (
        ("queued", False, 0),
        ("sending", False, 0),
        ("sent", True, 0),
        ("dead", True, 1),  # a person sees it
    ):
        with shared_store.write() as session:
            row = session.query(OutboundItem).filter_by(sop_uid=uids[0]).one()
            row.state, row.commit = state, committed
            session.query(OutboundItem).filter_by(sop_uid=uids[1]).update({"state": "committed"})
        assert erase_old(shared_store, 1, later) == erased
    with shared_store.read() as session:
        assert session.query(OutboundItem).count() == 0


def test_retention_waits_for_thirty_days_at_most(shared_store: Store) -> None:
    uids, day = add_results(shared_store, 1), 24 * 3600.0
    queue(shared_store, uids)
    assert erase_old(shared_store, 1, now() + 29.9 * day) == 0
    assert erase_old(shared_store, 1, now() + 30.1 * day) == 1


def test_what_waits_for_a_destination_that_is_gone_is_a_dead_letter(shared_store: Store) -> None:
    queue(shared_store, add_results(shared_store, 1))
    for destinations, states in ((["research", "other"], {"queued": 1}), (["other"], {"dead": 1})):
        shared_store.commit(lambda session, names=destinations: outbound_queue.give_up(session, names))
        with shared_store.read() as session:
            assert outbound_queue.count_items(session) == {"research": states}


def test_commitments(shared_store: Store) -> None:
    """What is kept is committed, what is not is sent again, and what nobody asked changes nothing (PS3.4 J.3.3)."""
    uids, retry = add_results(shared_store, 3), RetryRule(dead_after_hours=1)
    queue(shared_store, uids)
    for claim in shared_store.commit(lambda session: outbound_queue.claim(session, "research", "first")):
        shared_store.commit(lambda session, claim=claim: outbound_queue.finish(session, claim, WHERE))
    asked = shared_store.commit(lambda session: commitment.begin_request(session, "research", "1.2.3", retry))
    assert {uid for _, uid in asked} == set(uids)
    assert not shared_store.commit(lambda session: commitment.begin_request(session, "research", "1.2.4", retry))
    shared_store.commit(commitment.ask_again)  # a server has started: the answer may have met the one before
    asked = shared_store.commit(lambda session: commitment.begin_request(session, "research", "1.2.3", retry))
    assert {uid for _, uid in asked} == set(uids)

    def report(request: str, kept: list[str], failed: dict[str, int]) -> int:
        return shared_store.commit(lambda session: commitment.write_report(session, request, kept, failed, retry))

    for request in ("", "1.2.4"):
        assert report(request, uids, {}) == 0
    assert report("1.2.3", [uids[0], "2.25.99"], {uids[1]: 0x0112}) == 2
    with shared_store.read() as session:
        assert outbound_queue.count_items(session) == {"research": {"committed": 1, "queued": 1, "sent": 1}}
        again = session.query(OutboundItem).filter_by(state="queued").one()
        assert (again.sop_uid, again.last_error) == (uids[1], "the archive does not keep it (reason 0112)")
        assert again.next_attempt > now() + retry.first_seconds / 4  # an archive that denies it is not asked at once
    with shared_store.write() as session:  # an hour and more without its word about the third
        session.query(OutboundItem).filter_by(state="sent").update({"sent": now() - 3601, "ask_at": now() - 1})
    assert shared_store.commit(lambda session: commitment.begin_request(session, "research", "1.2.5", retry)) == []
    with shared_store.read() as session:
        assert outbound_queue.count_items(session)["research"]["dead"] == 1


def test_what_an_archive_takes_and_never_keeps_is_a_dead_letter(shared_store: Store) -> None:
    """Each new success makes `sent` newer: the time counts from when the result was queued."""
    uids, retry = add_results(shared_store, 1), RetryRule(dead_after_hours=1)
    queue(shared_store, uids)
    with shared_store.write() as session:
        session.query(OutboundItem).update({"queued": now() - 3601})
    (claim,) = shared_store.commit(lambda session: outbound_queue.claim(session, "research", "first"))
    shared_store.commit(lambda session: outbound_queue.finish(session, claim, WHERE))
    shared_store.commit(lambda session: commitment.begin_request(session, "research", "1.2.3", retry))
    shared_store.commit(lambda session: commitment.write_report(session, "1.2.3", [], {uids[0]: 0x0112}, retry))
    with shared_store.read() as session:
        assert outbound_queue.count_items(session) == {"research": {"dead": 1}}
