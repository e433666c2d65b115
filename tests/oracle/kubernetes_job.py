"""The part of the published Kubernetes API that `mars k8s` writes, from the official Python client.

    pip install kubernetes==37.0.2 pyyaml
    python tests/oracle/kubernetes_job.py            # writes mars-cli/tests/fixtures/kubernetes_job.json
    python tests/oracle/kubernetes_job.py JOB.yaml   # reads a job with the client: nothing is lost or misplaced

The client is generated from the OpenAPI description of the API server (Kubernetes 1.33 has all fields in use). The fixture
has, for each type, its fields with their types, and those that must be there.
"""

import json
import pathlib
import sys

import kubernetes
import yaml
from kubernetes import client

TYPES = """V1Job V1ObjectMeta V1JobSpec V1PodFailurePolicy V1PodFailurePolicyRule
V1PodFailurePolicyOnExitCodesRequirement V1PodFailurePolicyOnPodConditionsPattern V1PodTemplateSpec V1PodSpec V1Container
V1EnvVar V1ResourceRequirements V1VolumeMount V1Volume V1PersistentVolumeClaimVolumeSource""".split()


def describe(name):
    model = getattr(client, name)
    fields = {model.attribute_map[key]: kind for key, kind in model.openapi_types.items()}
    required = [model.attribute_map[key] for key, field in model.model_fields.items() if field.is_required()]
    return {"fields": dict(sorted(fields.items())), "required": sorted(required)}


def check(path):
    """Reads the job with the client, whose types forbid what they do not know, and writes it again."""
    job = yaml.safe_load(pathlib.Path(path).read_text())
    again = client.ApiClient().sanitize_for_serialization(client.V1Job.model_validate(job))
    assert again == job, json.dumps([job, again], indent=1)
    print(path, "is read by the client", kubernetes.__version__, "as it was written")


if len(sys.argv) > 1:
    for path in sys.argv[1:]:
        check(path)
else:
    place = pathlib.Path(__file__).resolve().parents[2] / "mars-cli/tests/fixtures/kubernetes_job.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    types = {name: describe(name) for name in TYPES}
    found = {"source": f"kubernetes {kubernetes.__version__}, the official Python client", "types": types}
    place.write_text(json.dumps(found, indent=1) + "\n")
    print(place.name, len(TYPES), "types")
