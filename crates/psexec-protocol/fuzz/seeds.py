#!/usr/bin/env python3
"""Fills corpus/ from the vectors recorded from pypsexec, so that fuzzing starts behind the first checks."""
import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).parent
CALL_HEADER = 24


def main():
    vectors = json.loads((HERE / "../tests/vectors/pypsexec.json").read_text(encoding="utf-8"))
    runs, calls = vectors["runs"], vectors["calls"]
    seed("paexec_message", [run[name] for run in runs for name in ("settings", "start_app")])
    seed("paexec_message", [answer["message"] for answer in vectors["answers"]])
    seed("run_name", [run[name].encode().hex() for run in vectors["names"] for name in ("service", "executable")])
    seed("rpc_response", [vectors["bind"], *vectors["bind_answers"].values()])
    seed("rpc_response", [call[name] for call in calls for name in ("request", "answer")])
    seed("scmr_answers", [call[name][2 * CALL_HEADER:] for call in calls for name in ("request", "answer")])


def seed(target, inputs):
    corpus = HERE / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for digits in inputs:
        data = bytes.fromhex(digits)
        (corpus / f"pypsexec-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)


if __name__ == "__main__":
    main()
