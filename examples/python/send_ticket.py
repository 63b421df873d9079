"""Sends one ticket and prints what became of it.

    pip install requests
    python send_ticket.py [http://localhost:8000]
"""

import sys
import uuid

import requests

BASE_URL = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://localhost:8000"

ticket = {
    "title": "Coupon code is not accepted",
    "description": "SPRING10 is refused at the last step of the checkout.",
    "priority": "high",
    "category": "billing",
    "user_email": "ana@example.com",
    "platform": "webshop",
    "metadata": {"cart": "c-1017"},
}

# The key is the same in every attempt for one ticket: however often it is sent, there is one ticket.
headers = {"Idempotency-Key": str(uuid.uuid4())}


def send(attempts=3):
    for attempt in range(1, attempts + 1):
        try:
            response = requests.post(
                f"{BASE_URL}/api/integrations/webhook", json=ticket, headers=headers, timeout=10
            )
        except requests.ConnectionError:
            if attempt == attempts:
                sys.exit(f"Nothing answers at {BASE_URL}; is the server running?")
            continue
        if response.status_code < 500 or attempt == attempts:
            return response


answer = send()
if answer.status_code != 200:
    sys.exit(f"Refused with {answer.status_code}: {answer.json()['detail']}")

created = answer.json()
print(f"Ticket {created['id']} ({created['priority']}, {created['status']}): {created['title']}")
