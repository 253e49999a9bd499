"""Pages of the list are found by an index, whatever they are filtered by."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from pneumoscope.server.storage.database import Store
from pneumoscope.server.studies.lookup import StudyFilter, list_page


@pytest.mark.parametrize("state", ["done", "failed", "queued", "running", None])
@pytest.mark.parametrize("model", ["m", None])
def test_no_page_of_the_list_scans_the_predictions(store: Store, state: str | None, model: str | None) -> None:
    """SQLite's plan names the index; `predictions_by_state` inside a loop over studies is a scan for each study."""
    statements: list[tuple[str, object]] = []
    event.listen(
        store.engine, "before_cursor_execute", lambda *sent: statements.append((sent[2], sent[3])), named=False
    )
    with store.read() as session:
        list_page(session, StudyFilter(state=state, model=model), 51, None)
        statement, values = statements[-1]
        plan = [str(row[3]) for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    predictions = [step for step in plan if "predictions" in step]
    assert all(step.startswith("SEARCH") and "INDEX" in step for step in predictions), plan
    if state in (None, "done"):
        assert all("(study=?" in step for step in predictions), plan
