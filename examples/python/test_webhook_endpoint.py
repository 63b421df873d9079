"""Checks a TicketFlow server from the outside: what it takes, what it refuses, what it answers.

    pip install requests
    python test_webhook_endpoint.py [http://localhost:8000]

Prints a line for each check and ends with exit code 0 when all of them passed, else 1.
It makes about a dozen tickets on that server, and can be run again and again.
"""

import sys
import uuid

import requests

WEBHOOK = "/api/integrations/webhook"
BATCH = WEBHOOK + "/batch"
TIMEOUT_SECONDS = 10

HEALTH = {
    "status": "healthy",
    "endpoint": "webhook",
    "supported_platforms": ["zendesk", "freshdesk", "jira", "servicenow", "custom"],
    "features": [
        "flexible_field_mapping",
        "automatic_validation",
        "batch_processing",
        "metadata_preservation",
    ],
}

TICKET_FIELDS = {
    "id", "title", "description", "category", "priority", "status", "user_id", "user_email",
    "ticket_metadata", "created_at", "updated_at", "resolved_at",
}  # fmt: skip

# What each platform sends, and the fields that its ticket then has.
FORMATS = [
    (
        "Zendesk format",
        {"subject": "Login loops", "description": "Back to the form each time.", "priority": "high",
         "customer_email": "ana@example.com", "platform": "zendesk"},
        {"title": "Login loops", "priority": "high", "category": "general", "user_email": "ana@example.com"},
    ),
    (
        "Freshdesk format",
        {"title": "Import is slow", "body": "An hour for ten rows.", "category": "technical",
         "priority": "urgent", "user_email": "ben@example.com", "platform": "freshdesk"},
        {"description": "An hour for ten rows.", "category": "technical", "priority": "urgent"},
    ),
    (
        "Jira format",
        {"title": "Keyboard shortcuts", "description": "For the list of tickets.", "category": "feature_request",
         "priority": "medium", "user_id": "jira-7", "platform": "jira"},
        {"category": "feature_request", "priority": "medium", "user_id": "jira-7", "user_email": None},
    ),
    (
        "ServiceNow format",
        {"title": "No network in room 4", "description": "Since this morning.", "priority": "low",
         "user_email": "cleo@example.com", "platform": "servicenow"},
        {"title": "No network in room 4", "priority": "low", "user_email": "cleo@example.com"},
    ),
    (
        "custom format with metadata",
        {"title": "Two charges in May", "description": "One too many.", "category": "billing",
         "customer_email": "dan@example.com", "platform": "shop", "metadata": {"department": "finance"}},
        {"category": "billing", "priority": "medium", "user_email": "dan@example.com"},
    ),
]  # fmt: skip

# What has to be refused: path, request, status, and the whole body where the contract fixes it.
REFUSALS = [
    ("a ticket without title", WEBHOOK, {"json": {"description": "x"}}, 400,
     {"detail": "Title or subject is required"}),
    ("a ticket without description", WEBHOOK, {"json": {"title": "x"}}, 400,
     {"detail": "Description or body is required"}),
    ("a malformed e-mail address", WEBHOOK,
     {"json": {"title": "x", "description": "y", "customer_email": "nobody@"}}, 400, None),
    ("a body that is broken JSON", WEBHOOK,
     {"data": '{"title": "half', "headers": {"Content-Type": "application/json"}}, 400, None),
    ("a body that is XML", WEBHOOK,
     {"data": "<ticket/>", "headers": {"Content-Type": "application/xml"}}, 415, None),
    ("a batch that is no array", BATCH, {"json": {"title": "x", "description": "y"}}, 400, None),
]  # fmt: skip


class Failed(Exception):
    """The server answered, and not as it should."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


class Server:
    """Requests to one server; `run` is new each time, so that ids and keys are."""

    def __init__(self, base_url):
        self.base_url = base_url.rstrip("/")
        self.run = uuid.uuid4().hex[:8]

    def get(self, path):
        return requests.get(self.base_url + path, timeout=TIMEOUT_SECONDS)

    def post(self, path, **request):
        return requests.post(self.base_url + path, timeout=TIMEOUT_SECONDS, **request)

    def item(self, number):
        return {"title": f"Check {self.run}, item {number}", "description": "Made by test_webhook_endpoint.py"}


def json_of(response, status):
    came = f"{response.status_code} ({response.headers.get('Content-Type')}): {response.text[:200]!r}"
    expect(response.status_code == status, f"expected status {status}, came {came}")
    try:
        return response.json()
    except ValueError:
        raise Failed(f"expected JSON, came {came}") from None


def ticket_of(response):
    ticket = json_of(response, 200)
    missing = TICKET_FIELDS - set(ticket) if isinstance(ticket, dict) else TICKET_FIELDS
    expect(not missing, f"expected a ticket, it lacks {', '.join(sorted(missing))}")
    expect(isinstance(ticket["id"], int), f"expected a whole number as id, came {ticket['id']!r}")
    return ticket


def expect_fields(came, wanted):
    for name, value in wanted.items():
        expect(came.get(name) == value, f"expected {name} {value!r}, came {came.get(name)!r}")


def check_health(server):
    body = json_of(server.get(WEBHOOK + "/health"), 200)
    expect(body == HEALTH, f"expected {HEALTH}, came {body}")


def check_format(sent, made):
    def check(server):
        external_id = f"check-{server.run}-{sent['platform']}"
        ticket = ticket_of(server.post(WEBHOOK, json={**sent, "id": external_id}))
        expect_fields(ticket, {**made, "status": "new"})
        metadata = {**sent.get("metadata", {}), "platform": sent["platform"], "external_id": external_id}
        expect_fields(ticket["ticket_metadata"], metadata)

    return check


def check_defaults(server):
    ticket = ticket_of(server.post(WEBHOOK, json={"subject": f"Bare {server.run}", "body": "No more than this."}))
    expect_fields(ticket, {"description": "No more than this.", "category": "general", "priority": "medium"})
    expect_fields(ticket, {"user_id": None, "user_email": None, "resolved_at": None})


def check_reading_back(server):
    made = ticket_of(server.post(WEBHOOK, json={"title": "Read me back", "description": "Grüße, 你好 👋"}))
    read = ticket_of(server.get(f"/api/tickets/{made['id']}"))
    expect_fields(read, made)
    expect(read["description"] == "Grüße, 你好 👋", f"the text came back as {read['description']!r}")


def check_batch(bad_item):
    def check(server):
        items = [server.item(1), *([{"description": "no title"}] if bad_item else []), server.item(2)]
        result = json_of(server.post(BATCH, json=items), 200)
        expect_fields(result, {"created_count": 2, "failed_count": 1 if bad_item else 0})
        indexes = [ticket["index"] for ticket in result["failed_tickets"]]
        expect(indexes == ([1] if bad_item else []), f"the failed items came as {indexes}")

    return check


def check_refusal(path, request, status, body):
    def check(server):
        came = json_of(server.post(path, **request), status)
        expect(isinstance(came.get("detail"), str), f"expected a sentence in detail, came {came}")
        expect(body is None or came == body, f"expected {body}, came {came}")

    return check


def check_same_key(server):
    request = {"json": server.item(3), "headers": {"Idempotency-Key": f"check-{server.run}-twice"}}
    first, second = server.post(WEBHOOK, **request), server.post(WEBHOOK, **request)
    ticket_of(first)
    ticket_of(second)
    expect(second.content == first.content, "the second answer has other bytes than the first")
    expect(second.headers.get("Idempotency-Replayed") == "true", "the second answer is not marked as a replay")


def check_same_key_other_body(server):
    headers = {"Idempotency-Key": f"check-{server.run}-other"}
    ticket_of(server.post(WEBHOOK, json=server.item(4), headers=headers))
    json_of(server.post(WEBHOOK, json=server.item(5), headers=headers), 422)


CHECKS = [
    ("health check", check_health),
    *[(name, check_format(sent, made)) for name, sent, made in FORMATS],
    ("title and text alone", check_defaults),
    ("reading a ticket back", check_reading_back),
    ("a batch of two", check_batch(bad_item=False)),
    ("a batch with a bad item", check_batch(bad_item=True)),
    *[(name, check_refusal(*rest)) for name, *rest in REFUSALS],
    ("an Idempotency-Key sent twice", check_same_key),
    ("an Idempotency-Key with another body", check_same_key_other_body),
]


def main():
    server = Server(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000")
    failures = 0
    for name, check in CHECKS:
        try:
            check(server)
            print(f"pass  {name}")
        except Failed as fault:
            failures += 1
            print(f"FAIL  {name}: {fault}")
        except (KeyError, TypeError, AttributeError) as fault:
            failures += 1
            print(f"FAIL  {name}: the answer has another shape ({fault!r})")
        except requests.RequestException as fault:
            print(f"FAIL  {name}: no answer from {server.base_url} ({type(fault).__name__}); is it running?")
            return 1
    print(f"\n{len(CHECKS) - failures} of {len(CHECKS)} checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
