#!/bin/sh
# Sends one ticket with curl and prints the answer: send-ticket.sh [http://localhost:8000]
set -eu

base=${1:-http://localhost:8000}

# --fail-with-body: an answer of 400 or above is shown and makes the script fail.
# --retry: a busy server says 503 and Retry-After; the key makes sending it again harmless.
curl --silent --show-error --fail-with-body --retry 3 \
  --header 'Content-Type: application/json' \
  --header "Idempotency-Key: shell-$$-$(date +%s)" \
  --data '{
    "subject": "Receipt is missing",
    "body": "I paid on Monday and got no receipt.",
    "customer_email": "ben@example.com",
    "platform": "contact-form"
  }' \
  "$base/api/integrations/webhook"
echo
