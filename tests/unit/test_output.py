"""Pictures appear whole or not at all, and never over another file."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from gesso.config import SD15
from gesso.errors import OutputError
from gesso.pipeline import output
from gesso.pipeline.metadata import png_info, read_request
from gesso.pipeline.output import OutputPattern, write_new_file
from gesso.pipeline.request import GenerationRequest, ResolvedRequest

PICTURE = Image.new("RGB", (8, 8), "red")


def request(count: int = 1) -> ResolvedRequest:
    return GenerationRequest("a cat", seed=7, count=count).resolve(SD15)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_file_name_is_filled_in(tmp_path: Path) -> None:
    pattern = OutputPattern(f"{tmp_path}/cats/{{seed}}-{{index:03}}-{{{{x}}}}.png")
    pattern.check_writable(request(2))
    assert files_in(tmp_path) == []
    paths = [pattern.save(PICTURE, request(2), index) for index in range(2)]
    assert [path.name for path in paths] == ["7-000-{x}.png", "8-001-{x}.png"]
    with Image.open(paths[1]) as written:
        assert written.format == "PNG"
        assert written.getpixel((0, 0)) == (255, 0, 0)


def test_pictures_in_a_folder_are_numbered_on(tmp_path: Path) -> None:
    (tmp_path / "00041-3.png").write_bytes(b"")
    (tmp_path / "20240115-holiday.png").write_bytes(b"")
    pattern = OutputPattern(str(tmp_path))
    pattern.check_writable(request(2))
    assert [pattern.save(PICTURE, request(2), index).name for index in range(2)] == [
        "00042-7.png",
        "00043-8.png",
    ]


@pytest.mark.parametrize("name", ["new", "new/", "new.v2/", "a/b/c", "{seed}"])
def test_what_names_no_png_is_a_folder(tmp_path: Path, name: str) -> None:
    pattern = OutputPattern(f"{tmp_path}/{name}")
    assert pattern.is_folder
    pattern.check_writable(request())
    assert pattern.save(PICTURE, request(), 0) == tmp_path / name.format(seed=7) / "00001-7.png"


def test_folder_that_looks_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "house.png"
    folder.mkdir()
    assert OutputPattern(str(folder)).save(PICTURE, request(), 0) == folder / "00001-7.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a file name"),
        ("a\0b.png", "not a file name"),
        ("house.jpg", r"PNG files, not \.jpg\. Use house\.png"),
        ("{prompt}.png", r"\{prompt\} is not a field"),
        ("{seed!r}.png", r"\{seed!r\} is not a field"),
        ("{seed.real}.png", r"\{seed.real\} is not a field"),
        ("{index:999999999}.png", r"\{index:999999999\} is not a field"),
        ("{}.png", r"\{\} is not a field"),
        ("{seed.png", "braces do not match"),
        ("seed}.png", "braces do not match"),
    ],
)
def test_pattern_that_names_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        OutputPattern(text)


def test_existing_file_is_refused_before_drawing_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "8.png"
    path.write_bytes(b"mine")
    pattern = OutputPattern(f"{tmp_path}/{{seed}}.png")
    with pytest.raises(OutputError, match=r"8\.png: it exists already"):
        pattern.check_writable(request(2))
    with pytest.raises(OutputError, match="exists already"):
        pattern.save(PICTURE, request(2), 1)
    assert path.read_bytes() == b"mine"
    assert files_in(tmp_path) == ["8.png"]


def test_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="exists already"):
        OutputPattern(f"{tmp_path}/a.png").check_writable(request())
    with pytest.raises(OutputError, match="exists already"):
        write_new_file(tmp_path / "a.png", b"x")
    assert files_in(tmp_path) == ["a.png"]


def test_names_that_need_an_open_seed_are_checked_when_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"")
    open_request = GenerationRequest("a cat")
    OutputPattern(f"{tmp_path}/{{seed}}.png").check_writable(open_request)
    with pytest.raises(OutputError, match=r"0\.png: it exists already"):
        OutputPattern(f"{tmp_path}/{{index}}.png").check_writable(open_request)
    with pytest.raises(OutputError, match="2 pictures cannot share"):
        OutputPattern(f"{tmp_path}/a.png").check_writable(GenerationRequest("a cat", count=2))


def test_picture_carries_what_it_is_given(tmp_path: Path) -> None:
    path = OutputPattern(str(tmp_path)).save(PICTURE, request(3), 2, png_info(request(3), "sd15", 2))
    read = read_request(path)
    assert read.request().resolve(SD15) == request(3).picture(2)
    assert (read.model, read.request().seed) == ("sd15", 9)


def test_pictures_cannot_share_a_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"2 pictures .* house-\{index\}\.png"):
        OutputPattern(f"{tmp_path}/house.png").check_writable(request(2))


@pytest.mark.parametrize("name", ["plain/house.png", "plain/sub/", "plain/"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain").write_bytes(b"")
    pattern = OutputPattern(f"{tmp_path}/{name}")
    with pytest.raises(OutputError, match="Not a directory"):
        pattern.check_writable(request())
    with pytest.raises(OutputError, match="cannot be written"):
        pattern.save(PICTURE, request(), 0)
    assert files_in(tmp_path) == ["plain"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
@pytest.mark.parametrize("text", ["/proc/house.png", "/proc/pictures/"])
def test_unwritable_folder_is_found_before_drawing(text: str) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        OutputPattern(text).check_writable(request())


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x" * 251 + "{index}.png"])
def test_name_too_long_is_found_before_drawing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="too long"):
        OutputPattern(f"{tmp_path}/{name}").check_writable(request())


def test_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write_new_file(tmp_path / "a.bin", b"a")
    (tmp_path / "b.bin").write_bytes(b"b")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "b.bin").stat().st_mode
    assert (tmp_path / "a.bin").stat().st_nlink == 1


def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the size of files stops the write half-way, as a full disk does."""
    code = (
        "import pathlib, resource, sys\n"
        "from gesso.pipeline.output import write_new_file\n"
        "from gesso.errors import OutputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_new_file(pathlib.Path(sys.argv[1]), bytes(5000))\n"
        "except OutputError as error: print(error)\n"
    )
    pytest.importorskip("resource")
    path = tmp_path / "big.bin"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "big.bin: cannot be written (File too large)" in done.stdout
    assert files_in(tmp_path) == []


def raiser(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def test_no_space_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raiser(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(OutputError, match=r"No space left on device\)\. Free some space"):
        OutputPattern(f"{tmp_path}/a.png").save(PICTURE, request(), 0)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("moment", ["fsync", "link"])
def test_interrupt_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(os, moment, raiser(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        OutputPattern(str(tmp_path)).save(PICTURE, request(), 0)
    assert files_in(tmp_path) == []


def test_file_systems_without_hard_links_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", raiser(OSError(errno.EPERM, "no hard links")))
    write_new_file(tmp_path / "a.bin", b"whole")
    with pytest.raises(OutputError, match="exists already"):
        write_new_file(tmp_path / "a.bin", b"other")
    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    monkeypatch.setattr(output.Path, "replace", raiser(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_new_file(tmp_path / "b.bin", b"x")
    assert files_in(tmp_path) == ["a.bin"]


def test_racing_writers_never_lose_a_picture(tmp_path: Path) -> None:
    pattern = OutputPattern(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: pattern.save(PICTURE, request(), 0), range(24)))
    assert len(set(paths)) == 24
    assert files_in(tmp_path) == sorted(path.name for path in paths)
    for path in paths:
        with Image.open(io.BytesIO(path.read_bytes())) as written:
            written.load()
