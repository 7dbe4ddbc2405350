"""Uploading, listing, showing and deleting avatars, over a real store and the Avatar stage."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from configs.clips import ClipsConfig
from deployments.avatar.engines import fake as fake_avatar
from deployments.avatar.test_pattern import read_frame_number
from serve_app.store import Store, StoreConfig
from tests.files_scene import Rig, error_of, picture, rig, watched

URL = "/v1/avatars"


def play(folder: Path, body: Callable[[Rig], Awaitable[None]], **kinds: Any) -> None:
    async def main() -> None:
        async with rig(folder, **kinds) as scene:
            await body(scene)
            await scene.rests()

    asyncio.run(main())


async def uploaded(scene: Rig, **fields: str) -> dict[str, Any]:
    response = await scene.client.post(URL, files={"picture": ("me.png", picture())}, data=fields)
    assert response.status_code == 201, response.text
    shown: dict[str, Any] = response.json()
    return shown


def test_the_server_has_its_own(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        listed = (await scene.client.get(URL)).json()
        (own,) = listed["data"]
        assert (listed["object"], listed["first_id"], listed["has_more"]) == ("list", "pattern", False)
        assert (own["id"], own["source"], own["width"], own["height"]) == ("pattern", "server", 160, 128)
        assert (await scene.client.get(f"{URL}/pattern")).json() == own
        for _ in range(2):
            preview = await scene.client.get(own["preview_url"])
            shown = cv2.imdecode(np.frombuffer(preview.content, np.uint8), cv2.IMREAD_COLOR)
            assert preview.headers["content-type"] == "image/jpeg"
            assert shown is not None
            assert shown.shape == (128, 160, 3)
            assert read_frame_number(np.asarray(shown, np.uint8)) == 0
        assert error_of(await scene.client.delete(f"{URL}/pattern"), 403)["code"] == "forbidden"

    play(tmp_path, body)


def test_one_is_uploaded_listed_shown_and_deleted(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        first, second = await uploaded(scene, name="Ann"), await uploaded(scene)
        assert first["id"].startswith("av_")
        assert (first["name"], first["width"], first["height"], first["description"]) == ("Ann", 160, 128, {})
        assert second["name"] == "Avatar"
        listed = (await scene.client.get(URL)).json()["data"]
        assert [each["id"] for each in listed] == ["pattern", second["id"], first["id"]]
        one = (await scene.client.get(f"{URL}/{first['id']}")).json()
        assert one == {key: value for key, value in first.items() if key != "preview"}
        preview = await scene.client.get(first["preview_url"])
        assert first["preview"] == "data:image/jpeg;base64," + base64.b64encode(preview.content).decode()

        deleted = await scene.client.delete(f"{URL}/{first['id']}")
        assert deleted.json() == {"id": first["id"], "object": "avatar.deleted", "deleted": True}
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/preview")):
            error = error_of(await scene.client.request(method, f"{URL}/{first['id']}{path}"), 404)
            assert (error["code"], error["param"]) == ("avatar_not_found", "avatar")
        assert len((await scene.client.get(URL)).json()["data"]) == 2

    play(tmp_path, body)


def test_what_is_kept_is_what_a_stage_is_sent(tmp_path: Path) -> None:
    description = {"version": 1, "width_px": 96, "mouth": {"left": [1, 2]}}

    async def body(scene: Rig) -> None:
        shown = await uploaded(scene, description=json.dumps(description))
        kept, given = await scene.store.avatars.picture(shown["id"])
        pixels = cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert (pixels.shape, given) == ((128, 96, 3), description)
        assert (await scene.client.get(f"{URL}/{shown['id']}")).json()["description"] == description

    play(tmp_path, body)


def test_another_gateway_has_it_too_and_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as here, rig(tmp_path) as there:
            shown = await uploaded(here)
            clip = await there.client.post("/v1/avatar/clips", json={"input": "hello there", "avatar": shown["id"]})
            assert clip.status_code == 200
            assert len(watched(clip.content).numbers) == 15
            assert shown["id"] in {info.id for info in there.avatars.avatars}, "its stage was sent the portrait"
            await there.client.delete(f"{URL}/{shown['id']}")
            error_of(await here.client.get(f"{URL}/{shown['id']}"), 404)
            kept = await uploaded(here)
        async with await Store.open(StoreConfig(path=tmp_path / "parley.db")) as store:
            assert [record.id for record in await store.avatars.list()] == [kept["id"]]

    asyncio.run(main())


def test_a_deleted_one_is_shown_no_more_even_where_a_stage_remembers_it(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        shown = await uploaded(scene)
        asked = {"input": "hello there", "avatar": shown["id"]}
        assert (await scene.client.post("/v1/avatar/clips", json=asked)).status_code == 200
        await scene.client.delete(f"{URL}/{shown['id']}")
        error = error_of(await scene.client.post("/v1/avatar/clips", json=asked), 404)
        assert error["code"] == "avatar_not_found"

    play(tmp_path, body)


BROKEN_JPEG = picture(kind=".jpg")[:40]
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x06\0\0\0" + bytes(100)


@pytest.mark.parametrize(
    ("form", "status", "param"),
    [
        ({"files": {"picture": b""}}, 400, "picture"),
        ({"files": {"picture": b"hello, I am a text"}}, 400, "picture"),
        ({"files": {"picture": b"GIF89a" + bytes(99)}}, 400, "picture"),
        ({"files": {"picture": picture()[:200]}}, 400, "picture"),
        ({"files": {"picture": BROKEN_JPEG}}, 400, "picture"),
        ({"files": {"picture": b"\xff\xd8\xff"}}, 400, "picture"),
        ({"files": {"picture": BOMB}}, 413, "picture"),
        ({"files": {"picture": picture() + bytes(4 * 2**20)}}, 413, None),
        ({"files": {"photo": picture()}}, 400, "photo"),
        ({"files": [("picture", picture()), ("picture", picture())]}, 400, None),
        ({"data": {"picture": "a text"}, "files": {"x": b""}}, 400, None),
        ({"files": {"picture": picture()}, "data": {"name": "x" * 101}}, 400, "name"),
        ({"files": {"picture": picture()}, "data": {"description": "{"}}, 400, "description"),
        ({"files": {"picture": picture()}, "data": {"description": "[1]"}}, 400, "description"),
        ({"files": {"picture": picture()}, "data": {"colour": "red"}}, 400, "colour"),
        ({"json": {"name": "x"}}, 400, "picture"),
        ({"content": b"{"}, 400, None),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 400, None),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, None),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, None),
    ],
)
def test_what_is_no_avatar_is_refused_and_leaves_nothing(
    tmp_path: Path, form: dict[str, Any], status: int, param: str | None
) -> None:
    async def body(scene: Rig) -> None:
        error = error_of(await scene.client.post(URL, **form), status)
        assert error["type"] == "invalid_request_error"
        assert param is None or error["param"] == param
        assert await scene.store.avatars.list() == ()
        assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} <= {"parley.db", "parley.db.lock"}

    play(tmp_path, body, config=ClipsConfig(max_picture_bytes=2**20))


def test_a_face_that_the_engine_refuses_is_not_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body(scene: Rig) -> None:
        error = error_of(await scene.client.post(URL, files={"picture": picture()}), 500)
        assert error["code"] == "engine_failed"
        assert await scene.store.avatars.list() == ()

    play(tmp_path, body, avatar=fake_avatar.Config(fail_at="render"))


def test_there_is_a_limit(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        await uploaded(scene)
        error = error_of(await scene.client.post(URL, files={"picture": picture()}), 413)
        assert error["code"] == "too_many_avatars"
        assert len(await scene.store.avatars.list()) == 1

    play(tmp_path, body, config=ClipsConfig(max_avatars=1))


@pytest.mark.parametrize(
    "hostile", ["%00", "av_%00", "av_%F0%9F%98%80", "av_%ED%A0%80", "av_'%20OR%201=1--", "av_" + "x" * 3000]
)
def test_hostile_ids_are_not_found(tmp_path: Path, hostile: str) -> None:
    async def body(scene: Rig) -> None:
        await uploaded(scene)
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/preview")):
            error = error_of(await scene.client.request(method, f"{URL}/{hostile}{path}"), 404)
            assert len(error["message"]) < 200
        assert len(await scene.store.avatars.list()) == 1

    play(tmp_path, body)


def test_names_of_any_script_are_kept(tmp_path: Path) -> None:
    async def body(scene: Rig) -> None:
        for name in ("Zoë 🦊", "名前", "x\ny", "<b>"):
            shown = await uploaded(scene, name=name)
            assert (await scene.client.get(f"{URL}/{shown['id']}")).json()["name"] == name

    play(tmp_path, body)
