"""The end of a process waits for its threads, and for no thread without end."""

import ast
import threading

from notifyflow.engine import threads
from tests.columns import PACKAGE, sources
from tests.log_lines import capture_logs


def test_each_join_of_a_thread_has_a_time_out() -> None:
    """A text's ``join`` takes what it joins, so one without arguments is that of a thread, a process or a queue."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        if not node.args and not node.keywords
    ]
    assert found == []


def test_a_thread_that_does_not_end_is_left_and_named() -> None:
    go_on = threading.Event()
    hanging = threading.Thread(target=go_on.wait, name="hanging", daemon=True)
    over = threading.Thread(target=str, name="over", daemon=True)
    for thread in (hanging, over):
        thread.start()
    over.join(60)
    with capture_logs() as logs:
        threads.end(hanging, over, within_s=0.01)
        go_on.set()
        threads.end(hanging)
    assert [(line["event"], line["thread_name"]) for line in logs] == [("engine.thread_left", "hanging")]
