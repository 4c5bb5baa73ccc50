from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mlflow_tfconv.errors import ConfigError, DataError, MissingLibraryError
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources import video_frames
from mlflow_tfconv.steps.ingest.sources.image_options import ImageOptions
from mlflow_tfconv.steps.ingest.sources.source import Found
from mlflow_tfconv.steps.ingest.sources.video_options import ClipOptions, VideoOptions
from mlflow_tfconv.steps.ingest.sources.video_source import VideoSource


def make_video(path: Path, frames: int = 12, fps: int = 10, **options: Any) -> Path:
    """Gray frames of 32x32, each 10 lighter than the one before: their number can be read off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 1_000_000
        for number in range(frames):
            gray = np.full((32, 32, 3), 10 * number + 5, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray)))
        container.mux(stream.encode())
    return path


def opened(root: Path, location: Any = "data", **config: Any) -> VideoSource:
    return VideoSource.open(
        IngestConfig(using="video", location=location, **config), root, lambda event: None
    )


def found(source: VideoSource) -> list[Found]:
    sent = pickle.loads(pickle.dumps(source))
    return [one for piece in source.pieces() for one in sent.examples(piece)]


def numbers(value: Any) -> Any:
    """Which frames an image or a clip shows."""
    return (
        np.round((np.asarray(value, float).mean(axis=(-3, -2, -1)) - 5) / 10).astype(int).tolist()
    )


def images(source: VideoSource) -> list[int]:
    return [numbers(one.example["image"]) for one in found(source) if isinstance(one.example, dict)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "mov"])
def test_every_frame_is_an_image(tmp_path: Path, data: Path, suffix: str) -> None:
    make_video(data / f"a.{suffix}")
    source = opened(tmp_path)
    assert images(source) == list(range(12))
    first = found(source)[0]
    assert first.where == f"data/a.{suffix}, frame 0"
    assert first.original_shapes == {"image": (32, 32, 3)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"every": 5}, [0, 5, 10]),
        ({"fps": 5}, [0, 2, 4, 6, 8, 10]),
        ({"fps": 3}, [0, 4, 7, 10]),
        ({"fps": 60}, list(range(12))),
    ],
)
def test_fewer_frames_can_be_taken(tmp_path: Path, data: Path, options: Any, expected: Any) -> None:
    make_video(data / "a.mp4")
    assert images(opened(tmp_path, video=VideoOptions(**options))) == expected


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (ClipOptions(frames=4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]),
        (ClipOptions(frames=3, stride=2), [[0, 2, 4], [6, 8, 10]]),
        (ClipOptions(frames=3, stride=2, step=4), [[0, 2, 4], [4, 6, 8]]),
        (ClipOptions(frames=2, step=5), [[0, 1], [5, 6], [10, 11]]),
        (ClipOptions(frames=12), [list(range(12))]),
    ],
)
def test_clips_are_frames_together(tmp_path: Path, data: Path, clip: Any, expected: Any) -> None:
    make_video(data / "a.mp4")
    source = opened(tmp_path, video=VideoOptions(clip=clip), image=ImageOptions(size=(8, 8)))
    clips = [one.example["clip"] for one in found(source) if isinstance(one.example, dict)]
    assert [numbers(one) for one in clips] == expected
    assert clips[0].shape == source.features["clip"].shape == (clip.frames, 8, 8, 3)


def test_all_of_a_video_stays_together_and_its_folder_is_its_class(
    tmp_path: Path, data: Path
) -> None:
    make_video(data / "run" / "a.mp4", 3)
    make_video(data / "walk" / "b.mp4", 2)
    source = opened(tmp_path)
    assert source.class_names == {"label": ("run", "walk")}
    groups = {
        (one.group, one.example["label"]) for one in found(source) if isinstance(one.example, dict)
    }
    assert groups == {("run/a.mp4", 0), ("walk/b.mp4", 1)}


def write_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)


def test_a_list_gives_parts_and_labels(tmp_path: Path, data: Path) -> None:
    make_video(data / "a.mp4")
    write_list(tmp_path, "path,start,end,label\ndata/a.mp4,0.2,0.5,x\ndata/a.mp4,1.0,,y\n")
    source = opened(tmp_path, "list.csv")
    rows = [one.example for one in found(source) if isinstance(one.example, dict)]
    assert [(numbers(row["image"]), row["label"]) for row in rows] == [
        (2, b"x"),
        (3, b"x"),
        (4, b"x"),
        (10, b"y"),
        (11, b"y"),
    ]
    assert source.labels == ("label",)
    assert {*rows[0]} == {"image", "label"} == {"image", *source.features}


def test_parts_may_be_counted_in_frames(tmp_path: Path, data: Path) -> None:
    make_video(data / "a.mp4")
    write_list(tmp_path, "file,from,to\ndata/a.mp4,3,6\n")
    options = VideoOptions(times="frames", start="from", end="to")
    source = opened(tmp_path, "list.csv", video=options, image=ImageOptions(column="file"))
    assert images(source) == [3, 4, 5]


def test_a_late_part_is_found_without_decoding_what_comes_before(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_frames, "_SEEK_FROM_S", 0.1)
    make_video(data / "a.mp4", 24, fps=2)
    write_list(tmp_path, "path,start,end\ndata/a.mp4,6.5,8\n")
    places = [one.where for one in found(opened(tmp_path, "list.csv"))]
    assert [place.rpartition(" ")[2] for place in places] == ["13", "14", "15"]
    assert images(opened(tmp_path, "list.csv")) == [13, 14, 15]


def test_folders_of_numbered_pictures_are_videos(tmp_path: Path, data: Path) -> None:
    for number in range(12):
        path = data / "run" / "video.1" / f"frame{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * number + 5,) * 3).save(path)
    source = opened(tmp_path, video=VideoOptions(every=3))
    assert images(source) == [0, 3, 6, 9]
    assert {one.group for one in found(source)} == {"run/video.1"}
    assert source.class_names == {"label": ("run",)}
    write_list(tmp_path, "path,start,end\ndata/run/video.1,2,4\n")
    listed = opened(tmp_path, "list.csv", video=VideoOptions(times="frames"))
    assert images(listed) == [2, 3]
    (one,) = found(opened(tmp_path, "list.csv"))
    assert isinstance(one.example, DataError)
    assert "whose times nobody knows" in one.example.what


def errors(source: VideoSource) -> list[str]:
    return [one.example.what for one in found(source) if isinstance(one.example, DataError)]


def test_damaged_videos_are_named_and_the_others_read(tmp_path: Path, data: Path) -> None:
    whole = make_video(data / "good.mp4").read_bytes()
    (data / "text.mp4").write_text("no video at all")
    (data / "empty.avi").write_bytes(b"")
    (data / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    source = opened(tmp_path)
    assert images(source) == list(range(12))
    cut, empty, text = sorted(errors(source))
    assert cut.startswith("data/cut.mp4 ")
    assert empty == "data/empty.avi is no video."
    assert text == "data/text.mp4 is no video, or a damaged one."


def test_a_video_that_ends_too_early_is_told(tmp_path: Path, data: Path) -> None:
    path = make_video(data / "a.mp4", 24, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-1000])
    (what,) = errors(opened(tmp_path))
    assert what.startswith("data/a.mp4 is ")


def test_playlists_are_not_followed(tmp_path: Path, data: Path) -> None:
    target = make_video(tmp_path / "other" / "secret.ts")
    (data).mkdir()
    (data / "a.ts").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.2,\n{target}\n#EXT-X-ENDLIST\n"
    )
    (data / "b.mp4").write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    assert len(errors(opened(tmp_path))) == 2
    assert images(opened(tmp_path)) == []


def test_a_video_that_is_too_short_is_told(tmp_path: Path, data: Path) -> None:
    make_video(data / "a.mp4", 5)
    (what,) = errors(opened(tmp_path, video=VideoOptions(clip=ClipOptions(frames=6))))
    assert what == "data/a.mp4 gives no example: it is too short."


def test_a_sound_file_is_no_video(tmp_path: Path, data: Path) -> None:
    data.mkdir()
    with av.open(str(data / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert errors(opened(tmp_path)) == ["data/a.mp4 holds no video."]


def test_missing_files_and_empty_parts_are_told_with_their_row(tmp_path: Path, data: Path) -> None:
    make_video(data / "a.mp4")
    write_list(tmp_path, "path,start,end\ndata/none.mp4,,\ndata/a.mp4,2,1\ndata/a.mp4,9,\n")
    first, second, third = errors(opened(tmp_path, "list.csv"))
    assert "none.mp4 can't be read" in first
    assert "this is no part of a video" in second
    assert third.endswith("it is too short from 9 to its end.")
    assert all(what.startswith("list.csv, ") for what in (first, second, third))


def test_without_its_library_the_extra_is_named(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(data / "a.mp4")
    monkeypatch.setattr(video_frames, "av", None)
    with pytest.raises(MissingLibraryError, match="PyAV") as error:
        opened(tmp_path)
    assert "mlflow-tfconv[video]" in str(error.value.fix)


def test_options_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="says twice"):
        VideoOptions(every=2, fps=3)
    with pytest.raises(ConfigError, match=r"clip\.frames is not positive"):
        ClipOptions(frames=0)
    with pytest.raises(ConfigError, match="no files that could stay encoded"):
        opened(tmp_path, image=ImageOptions(store="encoded"))
