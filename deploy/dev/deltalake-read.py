"""Answers questions about Delta tables, as deploy/dev/deltalake describes them."""

import json
import sys
from urllib.parse import unquote

from deltalake import DeltaTable, QueryBuilder


def answer(question):
    directory = question["table"].rstrip("/")
    table = DeltaTable(directory)
    found = QueryBuilder().register("t", table).execute(question["sql"]).read_all()
    columns = [[value.as_py() for value in column] for column in found.columns]
    files = []
    for uri in table.file_uris():
        path = unquote(uri.removeprefix("file://"))
        assert path.startswith(directory + "/"), path
        files.append(path[len(directory) + 1 :])
    return {
        "version": table.version(),
        "files": sorted(files),
        "rows": [list(row) for row in zip(*columns)],
        "transactions": {name: table.transaction_version(name) for name in question["app_ids"]},
    }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
