"""Validates every file of the test vectors against their schema, and the schema against its own."""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator


def main():
    folder = pathlib.Path(sys.argv[1])
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    files = sorted(path for path in folder.glob("*.json") if path.name != "schema.json")
    faults = []
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("file") != path.stem:
            faults.append(f"{path.name}: says that it is {content.get('file')!r}")
        for error in validator.iter_errors(content):
            faults.append(f"{path.name}: {error.json_path}: {error.message[:300]}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(files)} files, all as the schema says")


if __name__ == "__main__":
    main()
