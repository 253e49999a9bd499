"""Two servers on one PostgreSQL and one folder of files: what one takes, the other shows and answers."""

from __future__ import annotations

import threading
from dataclasses import replace

from pneumoscope.server.settings import Settings
from server.client import Client, predict_all, serve_client
from server.sample_files import png


def test_two_servers_are_one_reading_room(settings: Settings, postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE several")
    shared = replace(settings, database=postgres.replace("/postgres?", "/several?"))
    with serve_client(shared) as one, serve_client(shared) as two:
        model = next(model["id"] for model in one.get("/api/models") if model["name"] == "tiny")

        def upload_all(client: Client) -> None:
            for number in range(6):
                assert client.upload(png(0.6, 30 + number), models=(model,)).status_code == 201

        # The same files to both at once.
        threads = [threading.Thread(target=upload_all, args=(client,)) for client in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts: list[int] = []
        workers = [threading.Thread(target=lambda c=c: counts.append(predict_all(c))) for c in (one, two)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
        listed = [client.get("/api/studies")["studies"] for client in (one, two)]
    assert listed[0] == listed[1]
    assert len(listed[0]) == 6
    assert [[row["state"] for row in study["predictions"]] for study in listed[0]] == [["done"]] * 6
    assert sum(counts) == 6
