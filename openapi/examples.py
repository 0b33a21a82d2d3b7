"""Puts the examples into the API description: their requests are in examples.yaml, the answers that
they were given in answers.json."""
import copy
import json
import shlex

JSON = "application/json"


def sample_of(example):
    """The line of curl that asks what the example asks; $U is the address of the service."""
    method, target = example["call"].split(" ", 1)
    words = ["curl -sS"] if method == "GET" else [f"curl -sS -X {method}"]
    words.append(f'"$U{target}"')
    headers = dict(example.get("headers", {}))
    if example.get("token"):
        words.append('-H "Authorization: Bearer $T"')
    if "body" in example:
        headers["Content-Type"] = example.get("media", JSON)
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    line = " ".join(words)
    if "body" in example:
        line += " -d " + shlex.quote(json.dumps(example["body"], ensure_ascii=False))
    return line


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def place_answer(document, operation, name, answer):
    """Below the response of its status, which gets a copy of its own where it was shared."""
    responses = operation["responses"]
    key = str(answer["status"]) if str(answer["status"]) in responses else f"{answer['status'] // 100}XX"
    if key not in responses or not answer.get("media"):
        return
    responses[key] = copy.deepcopy(resolve(document, responses[key]))
    content = responses[key].get("content", {}).get(answer["media"])
    if content is not None:
        content.setdefault("examples", {})[name] = {"value": answer["body"]}


def merge(document, examples, answers):
    document = json.loads(json.dumps(document))  # what YAML's anchors share becomes separate
    operations = {o["operationId"]: o for item in document["paths"].values() for key, o in item.items() if key != "parameters"}
    for operation_id, several in examples.items():
        operation = operations[operation_id]
        for example in several:
            operation.setdefault("x-codeSamples", []).append({"lang": "Shell", "label": example["name"], "source": sample_of(example)})
            answer = answers.get(operation_id, {}).get(example["name"], {})
            # One that is refused need not fit the schema.
            if "body" in example and answer.get("status", 200) < 400:
                content = operation["requestBody"]["content"][example.get("media", JSON)]
                content.setdefault("examples", {})[example["name"]] = {"value": example["body"]}
            if answer and example.get("show", True):
                place_answer(document, operation, example["name"], answer)
    return document
