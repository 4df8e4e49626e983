"""Readers: what is written comes back, and what is damaged is refused in words."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from jaxlin import data
from jaxlin.data.opening import read_bytes
from jaxlin.errors import DataFormatError, InputError

X = np.arange(12, dtype=np.uint8).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, **options: object) -> str:
    with pytest.raises(DataFormatError) as error:
        data.read(path, **options)  # pyright: ignore[reportArgumentType]
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", ["_train", ""])
def test_npz_in_any_case_keeps_bytes_and_brings_its_test_set(tmp_path: Path, suffix: str) -> None:
    names = {f"X{suffix}": X, f"Y{suffix}": Y, "x_test": X[:2], "y_test": Y[:2]}
    raw = data.read(write(tmp_path, "d.npz", npz(**names)))
    assert raw.x.dtype == np.uint8
    np.testing.assert_array_equal(raw.x, X)
    np.testing.assert_array_equal(raw.labels, Y)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(raw.test_x, X[:2])  # pyright: ignore[reportArgumentType]


def test_images_are_flattened_and_their_shape_is_known(tmp_path: Path) -> None:
    images = np.arange(4 * 2 * 5 * 3, dtype=np.uint8).reshape(4, 2, 5, 3)
    raw = data.read(write(tmp_path, "d.npz", npz(x=images, y=Y)))
    assert raw.x.shape == (4, 30)
    assert raw.image_shape == (2, 5, 3)


@pytest.mark.parametrize(
    "content",
    [
        npz(x=X, y=Y, z=Y),
        npz(y=Y),
        npz(x=X, X=X, y=Y),
        npz(x=X, y=Y[:3]),
        npz(x=X, y=np.stack([Y, Y])),
        npz(x=X.ravel(), y=Y),
        npz(x=np.array([[None, 1]], dtype=object), y=Y[:1]),
        npz(**{"../x": X, "y": Y}),
        b"PK\x03\x04 and no more",
        npz(x=X, y=Y)[:-30],
        b"",
    ],
)
def test_a_bad_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(write(tmp_path, "d.npz", content))


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(X))
        archive.writestr("y.npy", npy(Y))
    content = bytearray(buffer.getvalue())
    place = content.rindex(b"PK\x01\x02")  # the directory's entry of y: its claimed size
    content[place + 24 : place + 28] = (2**31).to_bytes(4, "little")
    assert "claims to unpack" in refused(write(tmp_path, "d.npz", bytes(content)))


@pytest.mark.parametrize(
    "content",
    [
        npy(X)[:-1],
        npy(X) + b"0",
        npy(X).replace(b"(4, 3)", b"(9**9)"),
        npy(X).replace(b"(4, 3), ", b"(-4, 3),"),
        npy(X).replace(b"(4, 3), ", b"(-4,-3),"),
        npy(X).replace(b"(4, 3), ", b"(4., 3),"),
        npy(X).replace(b"(4, 3), }      ", b"(1099511627776, 3)}"),
        npy(X).replace(b"'|u1'", b"'|O8'"),
        b"\x80\x04\x95pickle",
    ],
)
def test_a_bad_npy_is_refused_before_anything_is_allocated(tmp_path: Path, content: bytes) -> None:
    refused(write(tmp_path, "d.npy", content))


def test_an_npy_of_bfloat16_has_lost_its_name(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", X.astype(ml_dtypes.bfloat16))
    assert "bfloat16, it seems. Save it as x.astype(np.float32)" in refused(tmp_path / "d.npy")


def test_npy_with_labels_in_another(tmp_path: Path) -> None:
    path = write(tmp_path, "d.npy", npy(np.asfortranarray(X.astype(">f8"))))
    labels = write(tmp_path, "y.npy", npy(np.array(["b", "a", "b", "a"])))
    loaded = data.load(path, labels=labels, test_share=0.5)
    assert loaded.classes == ("a", "b")
    np.testing.assert_array_equal(data.read(path).x, X)
    with pytest.raises(DataFormatError, match="--labels"):
        data.load(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files(tmp_path: Path, packed: bool) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    for part in ("train", "t10k"):
        for what, array in (("images-idx3", images), ("labels-idx1", Y)):
            content = idx(array)
            name = f"{part}-{what}-ubyte"
            write(tmp_path, name + ".gz" * packed, gzip.compress(content) if packed else content)
    raw = data.read(tmp_path)
    np.testing.assert_array_equal(raw.x, images.reshape(4, 6))
    assert raw.x.dtype == np.uint8
    assert raw.image_shape == (2, 3)
    assert raw.test_x is not None


@pytest.mark.parametrize(
    "images",
    [
        b"\0\0\x08\x03" + (2**31 - 1).to_bytes(4, "big") + bytes(8),
        b"\0\0\x08\xff" + bytes(40),
        b"\0\0\x08\0" + bytes(1),
        b"\0\0\x08\x06" + (1).to_bytes(4, "big") * 6 + bytes(1),
        b"\0\0\x0a\x03" + idx(np.zeros((4, 2, 3)))[4:],
        idx(np.zeros((4, 2, 3)))[:-1],
        idx(np.zeros((4, 2, 3))) + b"0",
        idx(np.zeros((3, 2, 3))),
        idx(np.zeros((4, 6))),
        gzip.compress(idx(np.zeros((4, 2, 3))), mtime=0)[:-9],
        b"",
    ],
)
def test_a_bad_idx_file_is_refused(tmp_path: Path, images: bytes) -> None:
    write(tmp_path, "train-images-idx3-ubyte", images)
    write(tmp_path, "train-labels-idx1-ubyte", idx(Y))
    with pytest.raises(DataFormatError):
        data.read(tmp_path)


def test_a_folder_of_cifar10_batches_has_channels_last_and_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    records = b"".join(
        bytes([label]) + p.tobytes() for label, p in zip((3, 9), planes, strict=True)
    )
    write(tmp_path, "data_batch_1.bin", records)
    write(tmp_path, "test_batch.bin", records)
    write(tmp_path, "batches.meta.txt", "\n".join(f"class{i}" for i in range(10)) + "\n\n")
    raw = data.read(tmp_path)
    np.testing.assert_array_equal(np.reshape(raw.x, (2, 32, 32, 3)), planes.transpose(0, 2, 3, 1))
    loaded = data.load(tmp_path)
    assert loaded.num_classes == 10
    assert loaded.train.labels.tolist() == [3, 9]
    write(tmp_path, "data_batch_2.bin", records[:-1])
    with pytest.raises(DataFormatError, match="multiple of 3,073"):
        data.read(tmp_path)
    write(tmp_path, "data_batch_2.bin", b"\x0a" + bytes(3072))
    with pytest.raises(DataFormatError, match="label 10 in record 0"):
        data.read(tmp_path)


def test_pickled_cifar10_batches_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "data_batch_1", b"\x80\x02}q")
    assert "binary version" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.csv", "\ufeffa,kind,b\n1,cat,2\n3,dog,4.5\n\n"),
        ("d.tsv", "a\tkind\tb\r\n1\tcat\t2\r\n3\tdog\t4.5\r\n"),
    ],
)
def test_a_table_with_names(tmp_path: Path, name: str, text: str) -> None:
    raw = data.read(write(tmp_path, name, text), label_column="kind")
    np.testing.assert_array_equal(raw.x, [[1, 2], [3, 4.5]])
    assert raw.feature_names == ("a", "b")
    assert raw.labels is not None
    assert raw.labels.tolist() == ["cat", "dog"]


def test_a_table_without_names_and_whole_numbers_stays_bytes(tmp_path: Path) -> None:
    raw = data.read(write(tmp_path, "d.csv", "1,2,0\n3,255,7\n"), label_column=-1)
    assert raw.x.dtype == np.uint8
    assert raw.labels is not None
    assert raw.labels.tolist() == [0, 7]
    assert raw.feature_names is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1,2\n3\n", ":2:"),
        ("1,2\n3,4,5\n", ":2:"),
        ("a,b\n3,4,5\n", ":2:"),
        ("1,2\n3,x\n", ":2:2:"),
        ("1,2\n3,\n", ":2:2:"),
        ("1,2\n3,nan\n", ":2:2:"),
        ("1,2\n3,1e400\n", ":2:2:"),
        ("1,2\n3,0x10\n", ":2:2:"),
        ("1,2\n3,1_0\n", ":2:2:"),
        ('1,2\n"3,4\n', ""),
        ("1,2\n\0,4\n", "NUL"),
        ("a;b\n1;2\n", "semicolons"),
        ("1,2,cat\n1,2,dog\n", "--label-column"),
        ("a,b\n", "no examples"),
    ],
)
def test_a_bad_table_is_refused_with_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    assert place in refused(write(tmp_path, "d.csv", text))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "d.csv", "a,b\n1,2\n")
    assert "no column 'kind'; it has 'a', 'b'" in refused(path, label_column="kind")
    assert "no column 5" in refused(path, label_column=5)


def test_svmlight_text(tmp_path: Path) -> None:
    path = write(tmp_path, "d.svm", "# comment\n+1 1:2 3:4e0 # note\n-1 2:.5\n")
    raw = data.read(path)
    np.testing.assert_array_equal(raw.x, [[2, 0, 4], [0, 0.5, 0]])
    assert raw.labels is not None
    assert raw.labels.tolist() == [1, -1]
    assert data.read(path, num_features=9).x.shape == (2, 9)
    refused(path, num_features=2)
    bare = write(tmp_path, "a9a", path.read_bytes())
    np.testing.assert_array_equal(data.read(bare).x, raw.x)


@pytest.mark.parametrize(
    "line",
    [
        "1 0:1", "1 -1:1", "1 2:1 2:1", "1 2:1 1:1", "1 9223372036854775808:1", "1 1:nan",
        "1 1:inf", "1 1:1e400", "nan 1:1", "1.5 1:1", "1 qid:3 1:1", "1 1", "1 1:", "1 1:0x1",
    ],
)  # fmt: skip
def test_a_bad_line_of_svmlight_text_is_named(tmp_path: Path, line: str) -> None:
    assert ":2:" in refused(write(tmp_path, "d.svm", f"1 1:1\n{line}\n"))


def test_an_index_that_would_take_gigabytes_is_refused(tmp_path: Path) -> None:
    assert "bytes" in refused(write(tmp_path, "d.svm", "1 2147483646:1\n"))


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


def make_link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_fifo, make_loop, make_link_to_zeros, Path.mkdir, Path.touch])
@pytest.mark.parametrize("name", ["d.npz", "d.npy", "d.csv", "d.svm", "d"])
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    refused(tmp_path / name)
    assert "No such file" in refused(tmp_path / f"missing-{name}")


def test_a_gzip_bomb_and_a_damaged_gzip_file_are_refused(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(10_000))
    path = write(tmp_path, "d.csv.gz", packed)
    assert read_bytes(path) == bytes(10_000)
    with pytest.raises(DataFormatError, match="more than 100 bytes"):
        read_bytes(path, 100)
    for damaged in (packed[:-1], packed[:-6] + b"xx" + packed[-4:], packed + b"rest"):
        with pytest.raises(DataFormatError):
            read_bytes(write(tmp_path, "d.csv.gz", damaged))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.npz", npz(x=X, y=Y)),
        ("d.npy", npy(X)),
        ("d.csv", b"a,b\n1,2.5\n3,4\n"),
        ("d.svm", b"1 1:2 3:4\n2 2:5\n"),
        ("d.csv.gz", gzip.compress(b"a,b\n1,2.5\n3,4\n", mtime=0)),
    ],
)
def test_no_cut_and_no_flipped_byte_leads_to_anything_but_an_answer_or_a_refusal(
    tmp_path: Path, name: str, content: bytes
) -> None:
    cuts = [content[:length] for length in range(len(content))]
    flips = [
        content[:i] + bytes([content[i] ^ mask]) + content[i + 1 :]
        for i in range(len(content))
        for mask in (0x01, 0x80, 0xFF)
    ]
    refusals = 0
    for damaged in cuts + flips:
        path = write(tmp_path, name, damaged)
        try:
            assert data.read(path).x.ndim == 2
        except DataFormatError:
            refusals += 1
    assert refusals > len(cuts) // 4


def test_a_folder_and_a_file_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    assert "without IDX files" in refused(tmp_path)
    assert "no kind that is known" in refused(write(tmp_path, "d", b"hello"))
    with zipfile.ZipFile(tmp_path / "feats.pt", "w") as archive:  # as torch.save writes
        archive.writestr("feats/data.pkl", b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.")
        archive.writestr("feats/data/0", bytes(64))
    assert "is PyTorch's own, a pickle" in refused(tmp_path / "feats.pt")
    old = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    assert "is PyTorch's own, a pickle" in refused(write(tmp_path, "old.pt", old))


def test_an_option_for_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "d.npz", npz(x=X, y=Y))
    with pytest.raises(InputError, match="label_column is of no use"):
        data.read(path, label_column="y")
    assert "3 features, but 4" in refused(path, num_features=4)


@pytest.mark.parametrize("label_column", ["kind", 1, 7])
def test_semicolons_are_seen_before_a_column_is_missed(
    tmp_path: Path, label_column: str | int
) -> None:
    path = write(tmp_path, "d.csv", "a;kind\n1,5;cat\n")
    assert "semicolons" in refused(path, label_column=label_column)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["1", "-2"], [1, -2]),
        (["1.0", "0"], [1.0, 0.0]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        ([" cat ", "1"], ["cat", "1"]),
        (["0x1", "1e"], ["0x1", "1e"]),
    ],
)
def test_labels_of_a_table_are_numbers_where_all_are(
    tmp_path: Path, written: list[str], expected: list[object]
) -> None:
    rows = [f"{label},1,2" for label in written]
    raw = data.read(write(tmp_path, "d.csv", "\n".join(rows)), label_column=0)
    assert raw.labels is not None
    assert raw.labels.tolist() == expected


def test_labels_that_are_bytes_or_dates(tmp_path: Path) -> None:
    path = write(tmp_path, "d.npz", npz(x=X, y=np.array([b"a", b"b"])[Y]))
    assert "astype(str)" in refused(path)
    days = np.array(["2020-01-02", "2020-01-01"], "M8[D]")[Y]
    loaded = data.load(write(tmp_path, "d.npz", npz(x=X, y=days)), test_share=0.5)
    assert loaded.classes == ("2020-01-01", "2020-01-02")
    assert "must hold numbers" in refused(write(tmp_path, "d.npz", npz(x=days[:, None], y=Y)))


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "d.npz", npz(x=X, y=Y))

    def denied(*arguments: object) -> int:  # root, as tests may run, is let in everywhere
        raise PermissionError(13, "Permission denied", arguments[0])

    monkeypatch.setattr(os, "open", denied)
    assert "cannot be read: Permission denied" in refused(path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\udcff", ""])
def test_a_path_that_no_file_has_is_refused(name: str) -> None:
    with pytest.raises(DataFormatError):
        data.read(name)


def test_images_that_were_normalised_are_images(tmp_path: Path) -> None:
    images = np.linspace(-1.0, 1.0, 4 * 2 * 3, dtype=np.float32).reshape(4, 2, 3)
    for name, content in (("i.npy", npy(images)), ("i.npz", npz(x=images, y=Y))):
        raw = data.read(write(tmp_path, name, content))
        assert raw.image_shape == (2, 3)
        np.testing.assert_array_equal(raw.x, images.reshape(4, 6))
