"""The data of the tasks: written, fetched from a server on this machine, and checked."""

import hashlib
import os
import shutil
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nsr.cli.data import COMMANDS
from nsr.cli.main import main
from nsr.data import LISTING, describe, fetch, generate, verify
from nsr.download import CHUNK, TRIES, download
from nsr.errors import ConfigError, DataError
from nsr.tasks import TASKS, Hint, hint, make_task
from nsr.tasks.expressions import draw
from nsr.tasks.pairs import format_pairs, read_pairs
from nsr.tasks.sources import File, Source, path_of, source, sum_file

CONTENT = b"IN: jump OUT: I_JUMP\n" * 5_000
CHANGED = CONTENT.replace(b"I_JUMP", b"I_WALK")
CUT = 5 * CHUNK
HINT_PARTS = "parts of hint (its cache, and what it generates)"


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path; a test sets how badly."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.status = 200  # of all answers, if it is an error
        self.statuses: list[int] = []  # of the next answers, before that
        self.cut: int | None = None  # the connection ends after so many bytes
        self.ranges = True
        self.asked: list[str | None] = []  # the Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.txt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        status = server.statuses.pop(0) if server.statuses else server.status
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if status == 200 and start >= len(server.content):
            status = 416
        if status >= 400:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start:][: server.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def file(server) -> File:
    """What the server should serve."""
    return replace(File.of(CONTENT), url=server.url)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "deep" / "file.txt"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# One file


def test_a_file_is_downloaded(server, file, path):
    download(file, path)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file.txt"]
    assert server.asked == [None]


@pytest.mark.parametrize("old", [b"old", CHANGED])
def test_a_file_that_differs_is_replaced(file, path, old):
    path.parent.mkdir()
    path.write_bytes(old)
    download(file, path)
    assert path.read_bytes() == CONTENT


def test_a_broken_transfer_goes_on_where_it_broke_off(server, file, path):
    server.cut = CUT
    download(file, path, pause=0)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert names(path.parent) == ["file.txt"]


def test_the_next_call_goes_on_where_the_last_one_gave_up(server, file, path):
    server.cut, server.statuses = CUT, [200, *TRIES * [503]]
    with pytest.raises(DataError, match=r"cannot be fetched: the server answers 503 .*; the same command continues$"):
        download(file, path, pause=0)
    assert names(path.parent) == ["file.txt.part"]
    server.asked.clear()
    server.cut = None
    download(file, path)
    assert server.asked == [f"bytes={CUT}-"]
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file.txt"]


def test_a_server_without_ranges_sends_all_again(server, file, path):
    server.ranges, server.cut = False, CUT
    with pytest.raises(DataError, match="the connection failed"):
        download(file, path, pause=0)
    assert len(server.asked) == 1 + TRIES  # each of them brings the same bytes again
    server.cut = None
    download(file, path)
    assert server.asked[-1] == f"bytes={CUT}-"
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"])
def test_a_part_that_has_no_rest_is_fetched_anew(server, file, path, left):
    path.parent.mkdir()
    path.with_name("file.txt.part").write_bytes(left)
    download(file, path, pause=0)
    assert server.asked == [f"bytes={len(left)}-", None]
    assert path.read_bytes() == CONTENT


def test_a_part_of_another_file_is_noticed_and_not_kept(server, file, path):
    path.parent.mkdir()
    path.with_name("file.txt.part").write_bytes(CHANGED[:CUT])
    with pytest.raises(DataError, match="is not the published file"):
        download(file, path)
    assert names(path.parent) == []
    download(file, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_wrong_checksum_is_not_kept(server, file, path, before):
    server.content = CHANGED
    if before:
        path.parent.mkdir()
        path.write_bytes(before)
    with pytest.raises(DataError) as error:
        download(file, path)
    wanted = hashlib.sha256(CONTENT).hexdigest()
    assert str(error.value) == f"{server.url} is not the published file: its sha256 is not {wanted}; it was not kept"
    assert names(path.parent) == (["file.txt"] if before else [])
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"lines": 6_000}, "has 5000 lines, not 6000"), ({"bytes": 7}, f"has {len(CONTENT)} bytes, not 7")],
)
def test_without_a_checksum_lines_and_bytes_are_checked(server, path, wanted, message):
    with pytest.raises(DataError, match=f"is not the published file: it {message}; it was not kept"):
        download(File(None, **wanted, url=server.url), path)
    assert names(path.parent) == []


def test_without_a_checksum_nothing_is_taken_over_from_an_earlier_call(server, path):
    path.parent.mkdir()
    path.with_name("file.txt.part").write_bytes(CHANGED[:CUT])
    download(File(None, url=server.url), path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]


@pytest.mark.parametrize("status", [404, 403])
def test_what_will_not_change_is_not_tried_again(server, file, path, status):
    server.status = status
    with pytest.raises(DataError, match=f"{server.url} cannot be fetched: the server answers {status} .*; try again"):
        download(file, path, pause=0)
    assert len(server.asked) == 1
    assert names(path.parent) == []


def test_what_may_change_is_tried_again(server, file, path):
    server.statuses = [500, 429]
    download(file, path, pause=0)
    assert path.read_bytes() == CONTENT


def test_an_unreachable_server_is_one_line(path):
    with Server() as server:
        url = server.url
    with pytest.raises(DataError) as error:
        download(File(None, url=url), path, pause=0)
    assert str(error.value) == f"{url} cannot be fetched: the connection failed; try again later"


def test_an_interrupted_transfer_keeps_what_it_has(server, file, path, monkeypatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    server.cut = CUT
    monkeypatch.setattr("time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download(file, path)
    assert names(path.parent) == ["file.txt.part"]


def test_a_missing_library_is_named(file, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ConfigError, match=r"^downloads need pooch, which is not installed: pip install nsr\[data\]$"):
        download(file, path)
    assert names(path.parent) == []


def test_a_folder_that_cannot_be_written_is_one_line(file, tmp_path, monkeypatch):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(DataError, match=r"taken.* cannot be written: "):
        download(file, tmp_path / "taken" / "file.txt")

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)  # root may write everywhere
    with pytest.raises(DataError, match=f"^{tmp_path} cannot be written: Permission denied$"):
        download(file, tmp_path / "file.txt")
    assert names(tmp_path) == ["taken"]


# The files of a task


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with status 2 and one line on stderr; returns its output and that line."""

    def call(*argv: object) -> tuple[str, str]:
        assert main(["data", *map(str, argv)]) == 2
        printed = capsys.readouterr()
        assert printed.err.count("\n") == 1
        assert printed.err.startswith("nsr")
        return printed.out, printed.err.rstrip("\n")

    return call


@pytest.fixture
def published(server, file, monkeypatch) -> dict[str, File]:
    """Two files of scan, as the server has them; the checksum of the second one is not known."""
    files = {"a/one.txt": file, "a/two.txt": File(None, lines=5_000, url=server.url)}

    def find(task: str) -> Source:
        return Source("page", "licence", files)

    for module in ("nsr.data", "nsr.tasks.sources"):
        monkeypatch.setattr(f"{module}.source", find)
    return files


def test_fetch_and_verify(published, server, tmp_path, capsys):
    command = ("scan", "--data-dir", str(tmp_path))
    one, two = (tmp_path / "scan" / name for name in published)
    assert main(["data", "fetch", *command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{one}: fetched, 0.1 MB",
        f"{two}: fetched, 0.1 MB, unverified: its checksum is not known, the one it has is kept in two.txt.sha256",
    ]
    assert one.read_bytes() == two.read_bytes() == CONTENT
    assert sum_file(two).read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  two.txt\n"
    assert names(one.parent) == ["one.txt", "two.txt", "two.txt.sha256"]
    assert main(["data", "verify", *command]) == 0
    assert capsys.readouterr().out == "2 files of scan are as they must be; the checksum of 1 of them is not known\n"
    server.asked.clear()
    assert main(["data", "fetch", *command]) == 0
    assert capsys.readouterr().out.count("already there") == 2
    assert server.asked == []


def test_a_checksum_that_cannot_be_read_is_one_line(published, server, tmp_path, capsys):
    command = ("scan", "--data-dir", str(tmp_path))
    assert main(["data", "fetch", *command]) == 0
    kept = sum_file(tmp_path / "scan" / list(published)[1])
    kept.unlink()
    kept.mkdir()
    capsys.readouterr()
    assert main(["data", "verify", *command]) == 2
    assert capsys.readouterr().err == f"nsr: {kept} cannot be read: Is a directory\n"


def test_verify_names_what_differs_and_fetch_mends_it(published, tmp_path, refused):
    command = ("scan", "--data-dir", tmp_path)
    fetch("scan", tmp_path)
    one, two = (tmp_path / "scan" / name for name in published)
    one.unlink()
    two.write_bytes(CHANGED)
    out, error = refused("verify", *command)
    sums = [hashlib.sha256(content).hexdigest() for content in (CHANGED, CONTENT)]
    assert out.splitlines() == [f"{one}: missing", f"{two}: its sha256 is {sums[0]}, not {sums[1]}"]
    advice = f"nsr data fetch scan --data-dir {tmp_path} gets the published ones"
    assert error == f"nsr: 2 of 2 files of scan differ or are missing; {advice}"
    two.write_bytes(CONTENT[:-21])
    assert f"{two}: has 4999 lines, not 5000" in refused("verify", *command)[0]
    fetch("scan", tmp_path)
    assert verify("scan", tmp_path).faults == ()


def test_a_fetch_that_fails_keeps_the_files_before(published, server, tmp_path, refused, monkeypatch):
    monkeypatch.setitem(published, "a/two.txt", File("0" * 64, url=server.url))
    out, error = refused("fetch", "scan", "--data-dir", tmp_path, "--quiet")
    assert out.startswith(f"{tmp_path / 'scan' / 'a' / 'one.txt'}: fetched")
    assert "is not the published file" in error
    assert names(tmp_path / "scan" / "a") == ["one.txt"]


def test_files_are_put_beside_those_that_are_there(published, tmp_path):
    (tmp_path / "a").mkdir()
    fetch("scan", tmp_path)
    assert names(tmp_path) == ["a"]
    assert verify("scan", tmp_path).faults == ()


def test_each_folder_of_the_authors_is_found_where_it_is(tmp_path, data_dir):
    """Also if one is below the task's name and another is not; so what is verified is what training reads."""
    for split, parent in (("simple", tmp_path), ("length", tmp_path / "scan")):
        shutil.copytree(data_dir / "scan" / f"{split}_split", parent / f"{split}_split")
    faults = verify("scan", tmp_path).faults
    assert len(faults) == 12
    assert not [fault for fault in faults if "simple" in fault or "length" in fault]
    assert "4 of 16 in " in describe("scan", tmp_path)["present"]
    for split in ("simple", "length"):
        TASKS["scan"]().load(split, data_dir=tmp_path)


def test_the_published_files_are_those_that_the_tasks_read(data_dir):
    for task in ("scan", "pcfg"):
        known = {name: file for name, file in source(task).files.items() if file.sha256}
        assert known
        for name, file in known.items():
            assert path_of(task, data_dir, name) == data_dir / task / name
            assert file.fault(data_dir / task / name) is None


def test_the_files_of_scan_are_those_of_its_splits():
    """Sizes and numbers of lines, also of files whose checksum is not known, follow from the rules of the splits."""
    for split in TASKS["scan"].splits:
        data = TASKS["scan"](word_order="raw").load(split)
        for part in ("train", "test"):
            (name,) = (name for name in source("scan").files if name.endswith(f"/tasks_{part}_{split}.txt"))
            lines = [f"IN: {' '.join(one)} OUT: {' '.join(other)}\n" for one, other in getattr(data, part)]
            file = source("scan").files[name]
            assert file.lines == len(lines)
            assert split == "simple" or file.bytes == sum(map(len, lines))


def test_a_task_without_a_source_is_told_where_it_has_to_be():
    with pytest.raises(ConfigError, match=r"nsr/tasks/sources.json has no entry for task 'calc'; add one"):
        source("calc")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_source(task):
    for name, file in source(task).files.items():
        assert not Path(name).is_absolute()
        assert ".." not in Path(name).parts
        assert file.url.startswith("https://")
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32


# Generated files


@pytest.mark.parametrize(
    ("task", "split"),
    [("scan", "addprim_jump"), ("scan", None), pytest.param("pcfg", "productivity", marks=pytest.mark.slow)],
)
def test_what_is_generated_is_what_is_trained(task, split, tmp_path, capsys):
    made = make_task(task)
    data = made.load(split or made.default_split, seed=3)
    options = ["--split", split] if split else []
    assert main(["data", "generate", task, *options, "--seed", "3", "--out", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == [LISTING, "test.tsv", "train.tsv"]
    printed = capsys.readouterr().out
    for part in ("train", "test"):
        path = tmp_path / "out" / f"{part}.tsv"
        examples = getattr(data, part)
        assert f"{path}: {len(examples)} examples\n" in printed
        pairs = read_pairs(path)
        assert tuple(made.encode(text) for text, _ in pairs[:100]) == examples.inputs[:100]
        assert [tuple(text.split()) for _, text in pairs] == list(examples.outputs)
    assert main(["data", "verify", task, "--data-dir", str(tmp_path / "out")]) == 0
    assert "2 generated files" in capsys.readouterr().out


def test_commands_are_written_in_the_published_order(tmp_path):
    generate("scan", tmp_path, split="length")
    texts = [text for text, _ in read_pairs(tmp_path / "train.tsv")]
    assert "jump around left" in texts
    assert "jump left around" not in texts


def test_generate_overwrites_only_if_it_is_told_to(tmp_path, refused):
    command = ("generate", "scan", "--out", tmp_path)
    (tmp_path / "mine").write_bytes(b"")
    (tmp_path / "validation.tsv").write_bytes(b"old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    advice = "overwrite it with --force, or choose another folder"
    assert refused(*command) == ("", f"nsr: {tmp_path / 'validation.tsv'} exists; {advice}")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert main(["data", *map(str, command), "--force"]) == 0
    assert names(tmp_path) == [LISTING, "mine", "test.tsv", "train.tsv"]


def test_generate_writes_all_or_nothing(tmp_path, refused, monkeypatch):
    written = []

    def fail(file: int) -> None:
        written.append(file)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    error = f"nsr: {tmp_path / 'out'} cannot be written: No space left on device"
    assert refused("generate", "scan", "--out", tmp_path / "out") == ("", error)
    assert names(tmp_path / "out") == []
    (tmp_path / "out" / "train.tsv").write_bytes(b"old")
    written.clear()
    assert refused("generate", "scan", "--force", "--out", tmp_path / "out") == ("", error)
    assert names(tmp_path / "out") == ["train.tsv"]
    assert (tmp_path / "out" / "train.tsv").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["test.tsv", "validation.tsv"])
def test_generate_leaves_what_there_is_where_a_file_is_a_folder(name, tmp_path, refused):
    (tmp_path / name).mkdir()
    (tmp_path / "train.tsv").write_bytes(b"old")
    error = f"nsr: {tmp_path / name} is a folder; remove it, or choose another folder"
    assert refused("generate", "scan", "--split", "length", "--out", tmp_path, "--force") == ("", error)
    assert names(tmp_path) == sorted([name, "train.tsv"])
    assert (tmp_path / "train.tsv").read_bytes() == b"old"


def test_verify_names_generated_files_that_differ(tmp_path, refused):
    generate("scan", tmp_path, split="length", seed=7)
    (tmp_path / "test.tsv").write_bytes((tmp_path / "test.tsv").read_bytes() + b"hop\tI_HOP\n")
    (tmp_path / "train.tsv").unlink()
    out, error = refused("verify", "scan", "--data-dir", tmp_path)
    assert out.splitlines() == [
        f"{tmp_path / 'train.tsv'}: missing",
        f"{tmp_path / 'test.tsv'}: has 3921 lines, not 3920",
    ]
    command = f"nsr data generate scan --split length --seed 7 --out {tmp_path} --force"
    assert error == f"nsr: 2 of 2 generated files of scan differ or are missing; {command} writes them again"
    assert main(command.split()[1:]) == 0
    assert verify("scan", tmp_path).faults == ()
    assert refused("verify", "pcfg", "--data-dir", tmp_path)[1] == f"nsr: {tmp_path} holds data of scan, not of pcfg"


@pytest.mark.parametrize(
    "listing",
    [
        b"\xff",
        b"[]",
        b"{}",
        b'{"task": "scan", "split": "length", "seed": 0, "files": {"../train.tsv": {"sha256": null}}}',
        b'{"task": "scan", "split": "length", "seed": 0, "files": {"train.tsv": {"md5": null}}}',
    ],
)
def test_a_damaged_listing_is_refused(listing, tmp_path, refused):
    (tmp_path / LISTING).write_bytes(listing)
    error = f"nsr: {tmp_path / LISTING} is damaged; generate the data again"
    assert refused("verify", "scan", "--data-dir", tmp_path) == ("", error)


# HINT, which is generated as published


@pytest.fixture
def few(tmp_path, monkeypatch):
    """A few expressions in the place of the published ones, and an empty cache."""
    drawn = draw("x")
    monkeypatch.setenv("NSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hint, "draw", lambda concept="": drawn)
    hint.expressions.cache_clear()
    hint._trained.cache_clear()
    yield drawn
    hint.expressions.cache_clear()
    hint._trained.cache_clear()


def test_generated_hint_has_a_validation_part(few, tmp_path):
    counts = generate("hint", tmp_path / "out")
    assert counts == {f"{part}.tsv": len(few[part].values) for part in hint.PARTS}
    for part in hint.PARTS:
        pairs = read_pairs(tmp_path / "out" / f"{part}.tsv")
        assert [(tuple(text), int(value)) for text, value in pairs] == list(zip(*few[part][:2], strict=True))
    assert verify("hint", tmp_path / "out").faults == ()


def test_verify_hint_compares_lines_and_checks_the_cache(few, tmp_path, refused):
    cache = Hint().cache_file
    out, error = refused("verify", "hint")
    assert out.splitlines()[0] == "train: not the 998000 published lines"
    assert error == f"nsr: 3 of 4 {HINT_PARTS} differ or are missing; delete {cache} and verify again"
    cache.write_bytes(cache.read_bytes()[:-100])
    out, _ = refused("verify", "hint")
    assert out == f"{cache}: damaged\n"


@pytest.mark.slow
def test_the_published_expressions_are_verified(capsys, tmp_path):
    assert main(["data", "verify", "hint"]) == 0
    assert capsys.readouterr().out == f"4 {HINT_PARTS} are as they must be\n"
    generate("hint", tmp_path)
    assert source("hint").published["train"].fault(tmp_path / "train.tsv") is None


def test_hint_needs_no_download(capsys, refused, tmp_path):
    assert main(["data", "fetch", "hint"]) == 0
    assert capsys.readouterr().out == "hint needs no download: its published examples are generated\n"
    error = f"nsr: {tmp_path} holds no {LISTING}: hint reads no other files; leave out --data-dir"
    assert refused("verify", "hint", "--data-dir", tmp_path) == ("", error)


# The command


def test_list_tells_what_is_there(tmp_path, capsys, published):
    assert main(["data", "list", "scan", "--data-dir", str(tmp_path)]) == 0
    assert f"  present   0 of 2 in {tmp_path / 'scan'}\n" in capsys.readouterr().out
    fetch("scan", tmp_path)
    assert main(["data", "list", "scan", "--data-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"  present   2 of 2 in {tmp_path / 'scan'}\n" in printed
    assert "  files     2, more than 0.1 MB; 1 with a known checksum\n" in printed


def test_list_has_all_tasks(capsys):
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if not line.startswith(" ")] == list(TASKS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_a_purpose_and_an_example(command, capsys):
    assert main(["data", command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert COMMANDS[command].PURPOSE in printed
    assert f"example:\n  nsr data {command} " in printed


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "nsr data: choose a command: list, generate, fetch, verify (see nsr data --help)"),
        (("fetsch",), "nsr data: unknown command 'fetsch'; did you mean fetch? (see nsr data --help)"),
        (("--version",), "nsr data: unknown option --version; known options: --help (see nsr data --help)"),
        (("fetch", "scam"), "nsr: unknown task 'scam'; did you mean scan?"),
        (("verify", "scam"), "nsr: unknown task 'scam'; did you mean scan?"),
        (("list", "scam"), "nsr: unknown task 'scam'; did you mean scan?"),
        (("generate", "scan", "--out", "x", "--split", "y"), "nsr: scan has no split 'y'; known splits: simple"),
        (("generate", "scan"), "nsr data generate: the following arguments are required: --out"),
    ],
)
def test_the_command_refuses(argv, message, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, error = refused(*argv)
    assert out == ""
    assert error.startswith(message)
    assert names(tmp_path) == []


def test_pairs_are_read_as_they_are_written(tmp_path):
    pairs = [("jump twice", "I_JUMP I_JUMP"), ("é ", "")]
    (tmp_path / "pairs.tsv").write_bytes(format_pairs(pairs))
    assert read_pairs(tmp_path / "pairs.tsv") == pairs
