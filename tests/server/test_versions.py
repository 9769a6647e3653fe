"""Versions come and go while the server runs, and damaged ones are refused."""

import contextlib
import errno
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from builders.half_plus_two import save
from server.conftest import Rest, settings
from tensorflow.core.protobuf import saved_model_pb2

from textrnn.errors import InputError
from textrnn.server.config_files import ModelConfig, version_folders
from textrnn.server.errors import RequestError
from textrnn.server.models import Models
from textrnn.server.servable import Servable
from textrnn.server.server import Server
from textrnn.serving.origin import mark_as_exported


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """SavedModels of y = x / 2 + c, c = 2 and 3."""
    folder = tmp_path_factory.mktemp("saved")
    return {constant: save(folder / str(constant), float(constant)) for constant in (2, 3)}


@pytest.fixture
def base(saved, tmp_path):
    """A model with version 1, y = x / 2 + 2."""
    shutil.copytree(saved[2], tmp_path / "m" / "1")
    return tmp_path / "m"


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def put(source, target):
    """Put a version there as an export does: it is renamed into place."""
    shutil.copytree(source, target.parent / "unfinished")
    (target.parent / "unfinished").rename(target)


def test_a_new_version_is_served_and_requests_in_flight_finish_on_the_old_one(base, saved):
    with Server(settings(ModelConfig("m", base))) as server:
        rest = Rest(server.rest_port, "/v1/models/m")

        def state():
            return rest("/versions/1")[1]["model_version_status"][0]["state"]

        with server.models.use("m") as old:  # as a request does
            put(saved[3], base / "2")
            wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [4.0]}))
            wait_for(lambda: state() == "UNLOADING")
            assert old.run("serving_default", {"x": np.array([2], "float32")})["y"] == [3.0]
        wait_for(lambda: state() == "END")
        assert rest("/versions/1:predict", {"instances": [2]})[0] == 404
        shutil.rmtree(base / "2")  # back to version 1
        wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [3.0]}))


def test_a_model_whose_last_version_is_deleted_is_withdrawn_and_another_one_is_loaded(base, saved):
    with Server(settings(ModelConfig("m", base))) as server:
        rest = Rest(server.rest_port, "/v1/models/m")
        shutil.rmtree(base / "1")
        wait_for(lambda: rest.predict(instances=[2])[0] == 404)
        assert rest("")[1]["model_version_status"][0]["state"] in ("UNLOADING", "END")
        put(saved[3], base / "1")
        wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [4.0]}))
        shutil.move(base, base.parent / "elsewhere")  # such as a disk that is not there for a while
        wait_for(lambda: server.models._models["m"].faults == [f"m: there is no folder {base}"])
        assert rest.predict(instances=[2]) == (200, {"predictions": [4.0]})


def test_a_version_stays_until_one_that_is_asked_for_is_there(base, saved):
    config, logged = ModelConfig("m", base), []
    models = Models(lambda: [config], 0, log=logged.append)
    models.start()
    config = ModelConfig("m", base, versions=(4,))
    models.refresh()
    assert models.loaded == ["m"] and logged[-1] == f"m: there is no version 4 in {base}"
    put(saved[3], base / "4")
    models.refresh()
    assert {number for number, version in models.status("m").items() if version.servable} == {4}
    models.stop()


def test_a_version_that_is_replaced_under_its_number_is_told_once(base, saved):
    logged = []
    models = Models(lambda: [ModelConfig("m", base)], 0, log=logged.append)
    models.start()
    shutil.rmtree(base / "1")
    (base / "1").mkdir()
    models.refresh()  # it is being deleted, or not yet whole
    told = len(logged)
    shutil.copytree(saved[3], base / "1", dirs_exist_ok=True)
    for _ in range(2):
        models.refresh()
    [line] = logged[told:]
    assert line == (
        "version 1 of m has been replaced since it was loaded, and the earlier one is still served: give "
        "the new one a higher number than 1"
    )
    models.stop()


def test_a_damaged_version_is_refused_until_it_is_whole(base, saved):
    with Server(settings(ModelConfig("m", base))) as server:
        rest = Rest(server.rest_port, "/v1/models/m")
        (base / "2").mkdir()
        (base / "2" / "saved_model.pb").write_bytes(b"half of a file")
        wait_for(lambda: rest("/versions/2")[0] == 200)
        [status] = rest("/versions/2")[1]["model_version_status"]
        assert status["state"] == "END" and status["status"]["error_code"] != "OK"
        assert status["status"]["error_message"]
        assert rest.predict(instances=[2]) == (200, {"predictions": [3.0]})
        shutil.rmtree(base / "2")
        put(saved[3], base / "2")
        wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [4.0]}))


@pytest.mark.parametrize("broken", ["no variables", "half of the variables", "other bytes"])
def test_a_half_copied_version_is_refused_and_the_old_one_stays(base, saved, broken):
    shutil.copytree(saved[3], base / "unfinished")
    [weights] = (base / "unfinished" / "variables").glob("*.data-*")
    content = weights.read_bytes()
    if broken == "no variables":
        shutil.rmtree(weights.parent)
    elif broken == "half of the variables":
        weights.write_bytes(content[: len(content) // 2])
    else:
        (base / "unfinished" / "saved_model.pb").write_bytes(b"\xff" * 1000)
    (base / "unfinished").rename(base / "2")
    with Server(settings(ModelConfig("m", base, latest=2))) as server:
        rest = Rest(server.rest_port, "/v1/models/m")
        [status] = rest("/versions/2")[1]["model_version_status"]
        assert status["state"] == "END" and status["status"]["error_message"]
        assert rest.predict(instances=[2]) == (200, {"predictions": [3.0]})
        assert rest("/versions/2:predict", {"instances": [2]})[0] == 404
        shutil.copytree(saved[3], base / "2", dirs_exist_ok=True)  # the rest of the files arrives
        wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [4.0]}))


def test_the_policy_says_which_versions_are_served(base, saved):
    shutil.copytree(saved[3], base / "7")
    config = ModelConfig("m", base, latest=None, labels={"old": 1, "new": 7})
    with Server(settings(config)) as server:
        rest = Rest(server.rest_port, "/v1/models/m")
        answers = [rest(f"/labels/{label}:predict", {"instances": [2]})[1] for label in ("old", "new")]
        assert answers == [{"predictions": [3.0]}, {"predictions": [4.0]}]
        assert [v["version"] for v in rest("")[1]["model_version_status"]] == ["7", "1"]


def test_what_cannot_be_served_is_logged_once(base, tmp_path):
    (tmp_path / "empty").mkdir()
    configs = [
        ModelConfig("m", base, versions=(1, 4), labels={"new": 4, "old": 1}),
        ModelConfig("empty", tmp_path / "empty"),
        ModelConfig("novle", tmp_path / "novle"),
    ]
    reads, logged = [], []
    models = Models(lambda: reads.append(1) or configs, 0, log=logged.append)
    models.start()
    assert models.loaded == ["m"] and len(reads) == 1
    assert logged[0] == "loading version 1 of m" and logged[1].startswith("serving version 1 of m")
    assert logged[2:] == [
        f"m: there is no version 4 in {base}",
        "m: the label new is for version 4, which is not served",
        f"empty: {tmp_path / 'empty'} has no version, a folder with a number for a name",
        f"novle: there is no folder {tmp_path / 'novle'}",
    ]
    models.refresh()
    assert len(logged) == 6
    models.stop()


def test_the_configuration_is_read_once_at_the_start(base):
    reads = []
    given = replace(
        settings(ModelConfig("m", base), poll_seconds=0),
        sources=lambda: reads.append(1) or [ModelConfig("m", base)],
    )
    with Server(given) as server:
        assert server.models.loaded == ["m"] and len(reads) == 1


def test_the_configuration_is_read_again_without_looks_at_the_folders(base, saved):
    configs, logged = [ModelConfig("m", base)], []
    models = Models(lambda: configs, 0, 0.02, log=logged.append)
    models.start()
    put(saved[3], base / "2")
    time.sleep(0.2)
    assert [*models.status("m")] == [1]
    configs = [ModelConfig("n", base)]
    wait_for(lambda: models.loaded == ["n"])
    assert [*models.status("n")] == [2]
    models.stop()


@pytest.mark.parametrize(("seconds", "expected"), [((2, 0), (0, 6)), ((2, 3), (4, 6)), ((0, 5), (2, 0))])
def test_folders_and_the_configuration_have_intervals_of_their_own(base, monkeypatch, seconds, expected):
    reads, looks, now = [], [], 0.0
    models = Models(lambda: reads.append(1) or [ModelConfig("m", base)], *seconds, log=lambda line: None)
    monkeypatch.setattr(models, "_refresh_model", lambda model, gone: looks.append(1))
    models.refresh()

    def wait(period):
        nonlocal now
        now += period
        return now > 12

    monkeypatch.setattr("textrnn.server.models.time.monotonic", lambda: now)
    monkeypatch.setattr(models, "_stopped", SimpleNamespace(wait=wait, is_set=lambda: False))
    models._poll()
    assert (len(reads) - 1, len(looks) - 1) == expected


def test_a_configuration_is_applied_later_if_a_folder_cannot_be_read_at_first(base, monkeypatch):
    configs = [ModelConfig("m", base)]
    models = Models(lambda: configs, 0, 1, log=lambda line: None)
    models.refresh()
    configs = [ModelConfig("n", base)]
    with monkeypatch.context() as patch, pytest.raises(InputError):
        patch.setattr("textrnn.server.models.version_folders", raising(InputError("too many open files")))
        models._look_again(look=False, read=True)
    models._look_again(look=False, read=True)
    assert models.loaded == ["n"]
    models.stop()


def raising(error):
    def function(*_):
        raise error

    return function


def test_no_version_is_loaded_once_the_models_are_stopped(base, monkeypatch, saved):
    def make(*given):
        models._stopped.set()
        return Servable(*given)

    models = Models(lambda: [ModelConfig("m", base, None), ModelConfig("n", base)], log=lambda line: None)
    shutil.copytree(saved[3], base / "2")
    monkeypatch.setattr("textrnn.server.models.Servable", make)
    models.refresh()
    assert not models.loaded and [*models.status("m")] == [1]
    models.stop()


def test_a_loop_without_end_is_cancelled(base):
    with Server(settings(ModelConfig("m", base), limits={"seconds": 1.0})) as server:
        rest = Rest(server.rest_port, "/v1/models/m")
        status, answer = rest.predict(signature_name="loop", instances=[2_000_000_000])
        assert status == 504 and "longer than 1 s" in answer["error"]
        wait_for(lambda: rest.predict(instances=[2]) == (200, {"predictions": [3.0]}))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO])
def test_models_stay_while_their_folders_cannot_be_read(base, monkeypatch, code):
    with Server(settings(ModelConfig("m", base))) as server:
        rest, tried = Rest(server.rest_port, "/v1/models/m"), []
        read = Path.iterdir

        def iterdir(path):
            if path == base:
                tried.append(path)
                raise OSError(code, "not now")
            return read(path)

        monkeypatch.setattr(Path, "iterdir", iterdir)
        wait_for(lambda: len(tried) > 1)
        assert rest.predict(instances=[2]) == (200, {"predictions": [3.0]})
        with pytest.raises(InputError, match=f"cannot read {base}: not now"):
            version_folders(base)


def test_outputs_that_are_inputs_or_one_tensor_are_computed(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        y = tf.identity(x / 2, "y")
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "1"), {"x": x}, {"same": x, "y": y, "z": y}
        )
    servable = Servable("m", 1, tmp_path / "1", timeout=60)
    x = np.array([2, 4], "float32")
    assert {name: y.tolist() for name, y in servable.run("serving_default", {"x": x}).items()} == {
        "same": [2, 4], "y": [1, 2], "z": [1, 2],
    }  # fmt: skip
    assert servable.run("serving_default", {"x": x[:0]}, ["y"])["y"].shape == (0,)
    assert servable.run("serving_default", {"x": x[::-1]}, ["y"])["y"].tolist() == [2, 1]
    servable.unload()
    for outputs in (None, ["y"], ["z"]):
        with pytest.raises(RequestError, match="version 1 of m is unloaded") as error:
            servable.run("serving_default", {"x": x}, outputs)
        assert error.value.code == "UNAVAILABLE"


def test_ports_are_kept_while_models_are_loaded_and_answer_afterwards(base):
    server = Server(settings(ModelConfig("m", base)))
    ports = [bound.getsockname()[1] for bound in server._sockets.values()]
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
    with server:
        assert [server.grpc_port, server.rest_port] == ports
        assert Rest(server.rest_port, "/v1/models/m").predict(instances=[2])[0] == 200


def test_a_port_that_is_taken_while_models_are_loaded_is_an_error(base):
    for flag in ("--port", "--rest_api_port"):
        server = Server(settings(ModelConfig("m", base)))
        port = server._sockets[flag].getsockname()[1]
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(InputError, match=f"{flag} {port}: cannot listen on 127.0.0.1:{port}"),
            server,
        ):
            pass


def test_a_server_listens_on_ipv6(base):
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError:
            pytest.skip("this machine has no IPv6")
    with Server(settings(ModelConfig("m", base), host="::1")) as server:
        for port in (server.grpc_port, server.rest_port):
            socket.create_connection(("::1", port)).close()


@pytest.mark.parametrize("exported", [True, False])
def test_calls_of_models_that_textrnn_exported_run_in_the_thread_of_their_request(tmp_path, exported):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        y = tf.numpy_function(lambda _: np.int64(threading.get_ident()), [x], tf.int64, name="y")
        z = tf.identity(y, "z")
        outputs = {"y": y, "z": z, "same": x}
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "1"), {"x": x}, outputs)
        if exported:
            file = tmp_path / "1" / "saved_model.pb"
            saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
            mark_as_exported(saved_model.meta_graphs[0])
            file.write_bytes(saved_model.SerializeToString())
        servable = Servable("m", 1, tmp_path / "1", timeout=60)
        for fetched in (["y"], ["z", "same"]):
            for several in (False, True):
                found = servable.run("serving_default", {"x": np.zeros(1, "float32")}, fetched, several)
                assert (found[fetched[0]] == threading.get_ident()) == (exported and not several)
