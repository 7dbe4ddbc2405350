"""The schema of KubeRay's RayService, cut down to the fields that our manifests use.

`tests/data/rayservice-v1.7.0.json` is `trimmed(…)` of `ray.io_rayservices.yaml` of KubeRay 1.7.0
(https://github.com/ray-project/kuberay, Apache-2.0). Make it anew with `python -m tests.kuberay_schema CRD.yaml`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TRIMMED = ROOT / "tests" / "data" / "rayservice-v1.7.0.json"
Schema = dict[str, Any]


def manifests() -> list[Path]:
    """All that are committed."""
    return sorted((ROOT / "cluster" / "kuberay").glob("*.yaml"))


def services() -> list[Schema]:
    """The RayService of each."""
    loaded = [document for path in manifests() for document in yaml.safe_load_all(path.read_text())]
    return [document for document in loaded if document["kind"] == "RayService"]


def strict(crd: Schema) -> Schema:
    """The JSON schema of a custom resource definition's `v1`: fields that it does not know are errors."""
    (version,) = [each for each in crd["spec"]["versions"] if each["name"] == "v1"]
    schema = _strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _strict(schema: Schema) -> Schema:
    """Without descriptions; `x-kubernetes-int-or-string` in JSON schema's words; defaults make fields optional."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    made: Schema = {key: schema[key] for key in ("type", "enum", "minimum", "maximum", "pattern") if key in schema}
    if "items" in schema:
        made["items"] = _strict(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
        made["additionalProperties"] = False
        given = [name for name in schema.get("required", []) if "default" not in schema["properties"][name]]
        if given:
            made["required"] = given
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(schema["additionalProperties"])
    return made


def trimmed(schema: Schema, values: list[Any]) -> Schema:
    """The parts of a strict schema that say something about these values; other fields are left out, so errors."""
    made = {key: each for key, each in schema.items() if key not in ("properties", "items")}
    if "items" in schema:
        made["items"] = trimmed(schema["items"], [item for value in values for item in value])
    if "properties" in schema:
        used = {name for value in values for name in value} | set(schema.get("required", []))
        made["properties"] = {
            name: trimmed(each, [value[name] for value in values if name in value])
            for name, each in schema["properties"].items()
            if name in used
        }
    return made


if __name__ == "__main__":
    definition = yaml.load(Path(sys.argv[1]).read_text(), yaml.CSafeLoader)
    TRIMMED.write_text(json.dumps(trimmed(strict(definition), services()), indent=1, sort_keys=True) + "\n")
