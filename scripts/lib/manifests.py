"""Checks manifests as kustomize builds them: each document against the schema of its kind, without unknown fields."""

import sys
from collections import Counter
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject


def main() -> None:
    """Check the files that are named; end with what is wrong in the first document that is not valid."""
    for name in sys.argv[1:]:
        kinds: Counter[str] = Counter()
        for document in yaml.safe_load_all(Path(name).read_text(encoding="utf-8")):
            kinds[document["kind"]] += 1
            if document["kind"] == "ScaledObject":
                read = ScaledObject.model_validate(document).model_dump(mode="json", by_alias=True, exclude_none=True)
                assert {**read, "metadata": document["metadata"]} == document, read
                continue
            for version in ("1.29", kubernetes_validate.latest_version()):
                kubernetes_validate.validate(document, version, strict=True)
        print(f"{Path(name).stem}: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}")


main()
