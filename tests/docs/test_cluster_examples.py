"""The scripts for Slurm and Kubernetes: workers have a right TF_CONFIG, and programs know their options."""

import os
import runpy
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from textrnn.cli.recipe import recipe_path
from textrnn.cli.recipes import make_recipe_parser
from textrnn.cli.serve import make_serve_parser
from textrnn.cluster import Cluster
from textrnn.server.config_files import read_models

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PROGRAMS = {
    "textrnn": 'printf "%s\\0" "$TF_CONFIG" "$*" >> "$OUT"',
    "scontrol": 'test "$*" = "show hostnames node[1-2]" && echo node1 node2',
    "srun": 'shift; for i in 0 1 2 3 4 5 6 7; do SLURM_PROCID=$i "$@"; done',
}


@pytest.fixture
def started(tmp_path):
    """A function that runs a command; returns TF_CONFIG and command line of each `textrnn` that it starts."""
    for name, script in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run(*command, **environment):
        environment |= {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "OUT": str(tmp_path / "out")}
        subprocess.run(command, check=True, env=environment)
        *parts, _ = (tmp_path / "out").read_text().split("\0")
        return list(zip(parts[::2], parts[1::2], strict=True))

    return run


def expect_workers(found, addresses, monkeypatch):
    for rank, (config, line) in enumerate(found):
        monkeypatch.setenv("TF_CONFIG", config)
        assert Cluster.of_environment().addresses == tuple(addresses)
        assert Cluster.of_environment().rank == rank
        command, name, *arguments = shlex.split(line)
        assert command == "recipe"
        recipe = runpy.run_path(str(recipe_path(name)))
        given = make_recipe_parser(recipe["Options"], recipe["__doc__"]).parse(arguments)
        assert given["distribute"] == "multi_worker"
    assert len(found) == len(addresses)


def test_slurm(started, monkeypatch):
    script = HOWTO / "slurm.sh"
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in script.read_text("utf-8").splitlines()
        if line.startswith("#SBATCH")
    )
    assert options["ntasks-per-node"] == options["gpus-per-node"]  # a worker uses one GPU
    found = started(
        "bash", str(script), SLURM_JOB_NODELIST="node[1-2]", SLURM_NTASKS_PER_NODE="4", SLURM_JOB_ID="1230007"
    )
    expect_workers(found, [f"node{node}:{20007 + task}" for node in (1, 2) for task in range(4)], monkeypatch)


def test_kubernetes(started, monkeypatch):
    service, job = yaml.safe_load_all((HOWTO / "kubernetes.yaml").read_text("utf-8"))
    name, spec = job["metadata"]["name"], job["spec"]
    assert (service["kind"], job["kind"], spec["completionMode"]) == ("Service", "Job", "Indexed")
    assert service["metadata"]["name"] == spec["template"]["spec"]["subdomain"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert spec["completions"] == spec["parallelism"] == 4
    [container] = spec["template"]["spec"]["containers"]
    found = [
        started(*container["command"], JOB_COMPLETION_INDEX=str(index))[-1] for index in range(4)
    ]  # of all that have been started so far, the last
    expect_workers(found, [f"{name}-{i}.{service['metadata']['name']}:2222" for i in range(4)], monkeypatch)


def test_serving_in_kubernetes(tmp_path):
    text = (HOWTO / "kubernetes_serving.yaml").read_text("utf-8")
    parts = {part["kind"]: part for part in yaml.safe_load_all(text)}
    deployment, template = parts["Deployment"]["spec"], parts["Deployment"]["spec"]["template"]
    name, labels = parts["Deployment"]["metadata"]["name"], template["metadata"]["labels"]
    for selector in (
        deployment["selector"]["matchLabels"],
        parts["Service"]["spec"]["selector"],
        parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}

    scaler = parts["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]) == ("Deployment", name)
    assert deployment["replicas"] == scaler["minReplicas"] < scaler["maxReplicas"]

    [container] = template["spec"]["containers"]
    assert {"cpu"} <= container["resources"]["requests"].keys()  # the autoscaler needs it
    given = make_serve_parser().parse(container["args"])
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    config = parts["ConfigMap"]
    assert volumes[mounts["/config"]]["configMap"]["name"] == config["metadata"]["name"]
    file = given["model_config_file"].relative_to("/config")
    (tmp_path / file).write_text(config["data"][str(file)])
    [model] = read_models(tmp_path / file)
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": f"/v1/models/{model.name}", "port": "rest"}
    assert {port["targetPort"] for port in parts["Service"]["spec"]["ports"]} == {
        port["name"] for port in container["ports"]
    }
    # The two places of the version: the same number, without which pods would not be replaced
    assert model.versions == (int(template["metadata"]["annotations"][f"textrnn/{model.name}"]),)
    assert [line.count("# version") for line in text.splitlines()].count(1) == 2
