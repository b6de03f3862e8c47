"""Each resource, as it is used: what the fields say after each step. `Web` checks every answer against its declared shape."""

from typing import Any, cast

from ledger.store.erasure import erase_texts
from ledger.store.log import LedgerLog
from replay.verify.integrity import IntegrityWatch
from tests.api.world import FREELANCER_EMAIL, OPERATOR_KEY, Web, World, build, offer_of, party
from tests.conftest import Server


def approve_single(world: World) -> str:
    """The payout of the approved single payment."""
    contract = world.contracts["single_payment"]
    path = f"/v1/contracts/{contract['id']}/milestones/{contract['milestones'][0]['id']}"
    world.web.ok("POST", f"{path}/submit", world.freelancer_key, {"message": "here it is"})
    return str(world.web.ok("POST", f"{path}/approve", world.client_key, {"message": "thank you"})["payout_id"])


def test_a_party_is_registered_once_whatever_the_case_of_its_address(web: Web) -> None:
    made = web.ok("POST", "/v1/clients", body={"name": "Northwind", "email": "Billing@Example.com"})
    assert (made["name"], made["email"], made["has_billing_method"]) == ("Northwind", "Billing@Example.com", False)
    assert made["id"].startswith("cli_")
    again = {"name": "Other", "email": "billing@example.COM"}
    web.refused(409, "email_taken", "POST", "/v1/clients", body=again)
    assert web.ok("POST", "/v1/freelancers", body=again)["id"].startswith("fre_"), "a freelancer may have it too"
    web.refused(409, "email_taken", "POST", "/v1/freelancers", body=again)
    assert web.ok("GET", f"/v1/clients/{made['id']}") == made


def test_an_offer_binds_to_the_account_that_has_its_address_later(web: Web) -> None:
    _, client_key = party(web, "client", "Northwind")
    offered = web.ok("POST", "/v1/contracts", client_key, offer_of("hourly", freelancer_email="ADA@example.com"))
    freelancer, key = party(web, "freelancer", "Ada")
    assert offered["freelancer_id"] == freelancer
    assert web.ok("GET", f"/v1/contracts/{offered['id']}", key)["freelancer_email"] == "ADA@example.com"
    accepted = web.ok("POST", f"/v1/contracts/{offered['id']}/accept", key, {"reason": "gladly"})
    assert accepted["status"] == "accepted"
    method = web.ok("PUT", f"/v1/freelancers/{freelancer}/payout-method", key, {"token": "ba_test"})
    assert method["has_payout_method"] is True
    assert "ba_test" not in str(method)
    assert web.ok("GET", f"/v1/contracts/{offered['id']}", key)["status"] == "active"


def test_a_contract_shows_what_was_offered(world: World) -> None:
    for kind, contract in world.contracts.items():
        assert (contract["kind"], contract["status"], contract["title"]) == (kind, "active", f"A {kind}")
        assert contract["classification"]["outcome"] == "independent_contractor"
        assert contract["freelancer_email"] == FREELANCER_EMAIL
    assert world.contracts["single_payment"]["amount"] == 50_000
    assert [one["status"] for one in world.contracts["single_payment"]["milestones"]] == ["active"]
    assert [one["amount"] for one in world.contracts["milestone"]["milestones"]] == [20_000, 30_000]
    assert world.contracts["hourly"]["hourly_rate"] == 6_000
    assert world.contracts["hourly"]["weekly_limit_minutes"] == 2_400
    assert world.contracts["fixed_rate"]["rate"] == 80_000
    assert world.contracts["fixed_rate"]["next_close"] == "2026-01-12T12:00:00Z"


def test_an_offer_is_declined_or_withdrawn_and_then_answered(own_world: World) -> None:
    web = own_world.web
    for verb, key, status in (
        ("decline", own_world.freelancer_key, "declined"),
        ("withdraw-offer", own_world.client_key, "withdrawn"),
    ):
        offered = web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"))
        answered = web.ok("POST", f"/v1/contracts/{offered['id']}/{verb}", key, {"reason": "not now"})
        assert answered["status"] == status
        web.refused(409, "already_decided", "POST", f"/v1/contracts/{offered['id']}/accept", own_world.freelancer_key)


def test_contracts_are_filtered_by_status_and_archive(own_world: World) -> None:
    web, key = own_world.web, own_world.client_key
    done = own_world.contracts["hourly"]["id"]
    web.ok("POST", f"/v1/contracts/{done}/complete", key, {"reason": "done"})
    assert [one["id"] for one in web.ok("GET", "/v1/contracts?archived=true", key)["data"]] == [done]
    assert done not in {one["id"] for one in web.ok("GET", "/v1/contracts?archived=false", key)["data"]}
    assert [one["id"] for one in web.ok("GET", "/v1/contracts?status=completed", key)["data"]] == [done]
    assert len(web.ok("GET", "/v1/contracts", key)["data"]) == 4


def test_marketplace_sourcing_needs_a_conversion_that_matches(own_world: World) -> None:
    web, path = own_world.web, "/v1/contracts"
    met = offer_of("hourly", sourcing="marketplace")
    for conversion in ({}, {"conversion_id": "cnv_" + "a" * 20}, {"conversion_id": "nonsense"}):
        web.refused(409, "conversion_required", "POST", path, own_world.client_key, body={**met, **conversion})
    body = {"client_id": own_world.client, "freelancer_email": FREELANCER_EMAIL.upper()}
    conversion = web.ok("POST", "/v1/conversions", OPERATOR_KEY, body)
    assert conversion["freelancer_id"] == own_world.freelancer
    offered = web.ok("POST", path, own_world.client_key, {**met, "conversion_id": conversion["id"]})
    assert offered["conversion_id"] == conversion["id"]
    other = {**met, "conversion_id": conversion["id"]}
    web.refused(409, "conversion_required", "POST", path, own_world.other_client_key, body=other)


def test_milestones_are_requested_approved_declined_and_reviewed(own_world: World) -> None:
    web, contract = own_world.web, own_world.contracts["milestone"]
    client, freelancer = own_world.client_key, own_world.freelancer_key
    path = f"/v1/contracts/{contract['id']}/milestones"
    added = web.ok("POST", path, client, {"description": "Three", "amount": 100})
    asked = web.ok("POST", path, freelancer, {"description": "Four", "amount": 200})
    assert (added["status"], added["position"], asked["status"]) == ("planned", 3, "requested")
    assert web.ok("POST", f"{path}/{asked['id']}/approve-request", client)["status"] == "planned"
    again = web.ok("POST", path, freelancer, {"description": "Five", "amount": 300})
    left = web.ok("POST", f"{path}/{again['id']}/decline-request", client)
    assert again["id"] not in {one["id"] for one in left["milestones"]}
    first = contract["milestones"][0]["id"]
    assert web.ok("POST", f"{path}/{first}/activate", client)["status"] == "active"
    submitted = web.ok("POST", f"{path}/{first}/submit", freelancer)
    assert submitted["review_deadline"] == "2026-01-12T09:00:00Z"
    assert web.ok("POST", f"{path}/{first}/request-changes", client, {"message": "bigger"})["status"] == "active"
    web.ok("POST", f"{path}/{first}/submit", freelancer, {"message": "bigger"})
    approved = web.ok("POST", f"{path}/{first}/approve", client)
    assert (approved["status"], approved["approved_by_silence"]) == ("approved", False)
    assert web.ok("GET", f"/v1/payouts/{approved['payout_id']}", freelancer)["status"] == "pending"


def test_time_is_logged_corrected_and_removed(own_world: World) -> None:
    web, contract, key = own_world.web, own_world.contracts["hourly"], own_world.freelancer_key
    path = f"/v1/contracts/{contract['id']}/time-entries"
    entry = web.ok("POST", path, key, {"date": "2026-01-05", "minutes": 60, "memo": "first"})
    assert (entry["week"], entry["memo"], entry["locked"]) == ("2026-01-05T00:00:00Z", "first", False)
    longer = web.ok("PATCH", f"{path}/{entry['id']}", key, {"minutes": 90})
    assert (longer["minutes"], longer["memo"]) == (90, "first")
    assert web.ok("PATCH", f"{path}/{entry['id']}", key, {"memo": "second"})["memo"] == "second"
    web.refused(409, "time_in_future", "POST", path, key, body={"date": "2026-01-06", "minutes": 1})
    web.refused(409, "week_not_open", "POST", path, key, body={"date": "2026-01-12", "minutes": 1})
    assert web.send("DELETE", f"{path}/{entry['id']}", key).status_code == 204
    assert web.ok("GET", f"/v1/contracts/{contract['id']}", key)["time_entries"] == []


def test_an_objection_is_raised_withdrawn_and_settled(own_world: World) -> None:
    web, client, freelancer = own_world.web, own_world.client_key, own_world.freelancer_key
    web.advance("2026-01-12T12:00:00Z")
    payout = web.ok("GET", f"/v1/payouts?contract_id={own_world.contracts['fixed_rate']['id']}", client)["data"][0]
    assert (payout["source"]["type"], payout["review_deadline"]) == ("fixed_rate", "2026-01-16T12:00:00Z")
    path = f"/v1/payouts/{payout['id']}"
    raised = web.ok("POST", f"{path}/objections", client, {"reason": "too much"})
    assert (raised["object"], raised["status"], raised["reason"], raised["ended_at"]) == (
        "objection",
        "open",
        "too much",
        None,
    )
    assert web.ok("GET", path, freelancer)["available_on"] is None
    web.refused(409, "objection_already_open", "POST", f"{path}/objections", client, body={"reason": "again"})
    assert web.ok("POST", f"{path}/objections/withdraw", client)["objection"]["status"] == "withdrawn"
    web.ok("POST", f"{path}/objections", client, {"reason": "still too much"})
    reduced = web.ok("POST", f"{path}/reduce", freelancer, {"amount": 70_000})
    assert (reduced["amount"], reduced["objection"]["status"]) == (70_000, "settled")
    assert [one["amount"] for one in reduced["refunds"]] == [10_000]
    web.refused(409, "no_open_objection", "POST", f"{path}/reduce", freelancer, body={"amount": 0})


def test_money_is_released_withdrawn_reversed_and_won_back(own_world: World) -> None:
    web, freelancer, key = own_world.web, own_world.freelancer, own_world.freelancer_key
    payout = approve_single(own_world)
    held = web.ok("GET", f"/v1/payouts/{payout}", key)
    assert (held["charged_at"], held["hold_until"]) == ("2026-01-05T09:00:00Z", "2026-01-09T09:00:00Z")
    web.advance("2026-01-09T09:00:00Z")
    taken = web.ok("POST", f"/v1/payouts/{payout}/reversals", body={"amount": 5_000, "reason": "chargeback"})
    assert (taken["from_available"], taken["reinstated_at"]) == (5_000, None)
    assert balance(web, freelancer, key) == (0, 45_000, 0)
    won = web.ok("POST", f"/v1/payouts/{payout}/reversals/{taken['id']}/reinstate")
    assert won["reinstated_at"] == "2026-01-09T09:00:00Z"
    money = {"amount": 20_000, "currency": "USD"}
    sent = web.ok("POST", f"/v1/freelancers/{freelancer}/withdrawals", key, money)
    assert sent["status"] == "in_transit"
    assert balance(web, freelancer, key) == (0, 30_000, 20_000)
    too_much = {"amount": 30_001, "currency": "USD"}
    web.refused(409, "insufficient_funds", "POST", f"/v1/freelancers/{freelancer}/withdrawals", key, body=too_much)
    web.advance("2026-01-10T09:00:00Z")
    (paid,) = web.ok("GET", f"/v1/freelancers/{freelancer}/withdrawals", key)["data"]
    assert (paid["id"], paid["status"]) == (sent["id"], "paid")
    earned = web.ok("GET", f"/v1/freelancers/{freelancer}/earnings", key)
    assert earned["total"] == [{"amount": 50_000, "currency": "USD"}]
    assert earned["by_month"] == [{"month": "2026-01", "earned": earned["total"]}]
    assert [one["title"] for one in earned["by_contract"]] == ["A single_payment"]
    explained = web.ok("GET", f"/v1/payouts/{payout}/explain", key)
    assert explained["steps"]


def test_earnings_are_counted_in_the_month_in_which_they_were_released(own_world: World) -> None:
    web, freelancer, key = own_world.web, own_world.freelancer, own_world.freelancer_key
    payout = approve_single(own_world)

    def changed_by(path: str, body: dict[str, Any] | None = None) -> tuple[str, dict[str, int]]:
        """The reversal, and what it changed of the earnings by month."""
        months: list[dict[str, int]] = []
        made: dict[str, Any] = {}
        for is_before in (True, False):
            earned = web.ok("GET", f"/v1/freelancers/{freelancer}/earnings", key)
            months.append({one["month"]: sum(held["amount"] for held in one["earned"]) for one in earned["by_month"]})
            assert sum(held["amount"] for held in earned["total"]) == sum(months[-1].values())
            made = web.ok("POST", f"/v1/payouts/{payout}/reversals{path}", body=body) if is_before else made
        before, after = months
        changes = {month: after.get(month, 0) - before.get(month, 0) for month in before | after}
        return str(made["id"]), {month: change for month, change in changes.items() if change}

    web.advance("2026-01-06T10:00:00Z")
    first, nothing = changed_by("", {"amount": 15_000, "reason": "chargeback"})
    assert nothing == {}
    web.advance("2026-02-03T10:00:00Z")
    assert changed_by(f"/{first}/reinstate") == (first, {"2026-02": 15_000})
    web.advance("2026-03-03T10:00:00Z")
    second, taken = changed_by("", {"amount": 20_000, "reason": "chargeback"})
    assert taken == {"2026-01": -5_000, "2026-02": -15_000}
    assert changed_by(f"/{second}/reinstate") == (second, {"2026-01": 5_000, "2026-02": 15_000})


def balance(web: Web, freelancer: str, key: str, **query: Any) -> tuple[int, ...]:
    answer = web.ok("GET", f"/v1/freelancers/{freelancer}/balance", key, params=query)
    return tuple(sum(one["amount"] for one in answer[bucket]) for bucket in ("pending", "available", "in_transit"))


def test_balances_are_asked_for_as_of_a_time_as_known_at_one_and_at_a_position(own_world: World) -> None:
    web, freelancer, key = own_world.web, own_world.freelancer, own_world.freelancer_key
    before = web.ledger.log.head()
    approve_single(own_world)
    charged = web.ledger.log.head()
    web.advance("2026-01-09T09:00:00Z")
    assert balance(web, freelancer, key) == (0, 50_000, 0)
    assert balance(web, freelancer, key, as_of="2026-01-09T08:59:59Z") == (50_000, 0, 0)
    assert balance(web, freelancer, key, known_at="2026-01-05T09:00:00Z") == (50_000, 0, 0)
    assert sum(balance(web, freelancer, key, at_position=str(before))) == 0
    assert balance(web, freelancer, key, at_position=str(charged)) == (50_000, 0, 0)
    assert web.ok("GET", f"/v1/freelancers/{freelancer}/balance", key, params={"at_position": "0"})["pending"] == []


def test_a_statement_opens_runs_and_closes(own_world: World) -> None:
    web, freelancer, key = own_world.web, own_world.freelancer, own_world.freelancer_key
    payout = approve_single(own_world)
    web.advance("2026-01-09T09:00:00Z")
    web.ok("POST", f"/v1/freelancers/{freelancer}/withdrawals", key, {"amount": 1_000, "currency": "USD"})
    path = f"/v1/freelancers/{freelancer}/balance-transactions"
    everything = web.ok("GET", path, key)
    assert [(one["type"], one["amount"]) for one in everything["data"]] == [
        ("withdrawal", -1_000),
        ("release", 50_000),
        ("charge", 50_000),
    ]
    assert (everything["opening"], everything["closing"]) == (None, None)
    assert everything["data"][1]["payout_id"] == payout
    assert everything["data"][1]["available_on"] == "2026-01-09T09:00:00Z"
    assert (everything["data"][0]["available"], everything["data"][0]["in_transit"]) == (49_000, 1_000)
    from_release = web.ok("GET", path, key, params={"from": "2026-01-09T09:00:00Z", "limit": "1"})
    assert from_release["opening"]["pending"] == [{"amount": 50_000, "currency": "USD"}]
    assert from_release["closing"]["available"] == [{"amount": 49_000, "currency": "USD"}]
    rest = web.ok("GET", path, key, params={"from": "2026-01-09T09:00:00Z", "cursor": from_release["next_cursor"]})
    assert [one["type"] for one in rest["data"]] == ["release"]
    until = web.ok("GET", path, key, params={"to": "2026-01-09T09:00:00Z"})
    assert [one["type"] for one in until["data"]] == ["charge"]
    assert until["closing"]["pending"] == [{"amount": 50_000, "currency": "USD"}]


def test_payouts_are_filtered(own_world: World) -> None:
    web, key, payout = own_world.web, own_world.client_key, approve_single(own_world)

    def ids(key: str = key, **query: str) -> list[str]:
        return [one["id"] for one in web.ok("GET", "/v1/payouts", key, params=query)["data"]]

    assert ids() == ids(status="pending") == ids(freelancer_id=own_world.freelancer) == [payout]
    assert ids(**{"available_on[gte]": "2026-01-09T09:00:00Z"}) == [payout]
    assert ids(**{"available_on[lt]": "2026-01-09T09:00:00Z"}) == ids(status="released") == []
    assert ids(own_world.auditor_key, contract_id=own_world.contracts["single_payment"]["id"]) == [payout]
    assert ids(own_world.freelancer_key, freelancer_id=own_world.other_freelancer) == []
    assert ids(own_world.other_freelancer_key, freelancer_id=own_world.freelancer) == []
    assert ids(own_world.other_client_key, contract_id=own_world.contracts["single_payment"]["id"]) == []
    assert ids(own_world.auditor_key, freelancer_id="nobody") == []


def test_a_failed_charge_is_tried_again_by_an_operator(own_world: World) -> None:
    web = own_world.web
    web.ok(
        "PUT",
        f"/v1/clients/{own_world.client}/billing-method",
        own_world.client_key,
        {"token": "pm_card_chargeDeclined"},
    )
    payout = approve_single(own_world)
    failed = web.ok("GET", f"/v1/payouts/{payout}", own_world.client_key)
    assert (failed["status"], failed["failures"], failed["next_attempt_at"]) == (
        "charge_failed",
        1,
        "2026-01-06T09:00:00Z",
    )
    assert web.ok("GET", f"/v1/clients/{own_world.client}")["overdue_payout_ids"] == [payout]
    assert web.ok("POST", f"/v1/payouts/{payout}/retry-charge")["failures"] == 2
    web.ok("PUT", f"/v1/clients/{own_world.client}/billing-method", own_world.client_key, {"token": "pm_card_visa"})
    assert web.ok("GET", f"/v1/payouts/{payout}", own_world.client_key)["status"] == "pending"
    web.refused(409, "charge_not_failed", "POST", f"/v1/payouts/{payout}/retry-charge")


def test_the_service_classifies_and_an_employer_of_record_pays(own_world: World) -> None:
    web, client, freelancer = own_world.web, own_world.client_key, own_world.freelancer_key
    offer = offer_of("hourly", classification={"by": "service"})
    contract = web.ok("POST", "/v1/contracts", client, offer)["id"]
    path = f"/v1/contracts/{contract}"
    assert web.ok("POST", f"{path}/accept", freelancer)["status"] == "accepted"
    outcome = {"outcome": "employee"}
    web.refused(409, "classification_required", "POST", f"{path}/classification/decision", client, body=outcome)
    answers = {"answers": {"own_tools": False, "clients": ["one"]}}
    answered = web.ok("POST", f"{path}/classification/questionnaire", freelancer, answers)
    assert answered["classification"]["answers"] == answers["answers"]
    advice = {**outcome, "reasons": "one client only"}
    advised = web.ok("POST", f"{path}/classification/recommendation", OPERATOR_KEY, advice)
    assert advised["classification"]["recommendation_reasons"] == "one client only"
    assert web.ok("POST", f"{path}/classification/decision", client, outcome)["status"] == "accepted"
    run = {"amount": 300_000, "period_start": "2026-01-01", "period_end": "2026-01-31"}
    web.refused(409, "contract_not_active", "POST", f"{path}/eor-payrolls", body=run)
    employer = {"name": "Payroll Ltd", "pay_schedule": "monthly"}
    assigned = web.ok("PUT", f"{path}/employer-of-record", OPERATOR_KEY, employer)
    assert (assigned["status"], assigned["employer_of_record"]["name"]) == ("active", "Payroll Ltd")
    payroll = web.ok("POST", f"{path}/eor-payrolls", OPERATOR_KEY, run)
    payout = web.ok("GET", f"/v1/payouts/{payroll['payout_id']}", freelancer)
    assert (payout["source"]["type"], payout["payee"]) == ("eor_payroll", assigned["employer_of_record"]["id"])
    assert sum(balance(web, own_world.freelancer, freelancer)) == 0
    time = {"date": "2026-01-05", "minutes": 1}
    web.refused(409, "time_is_entered_with_eor", "POST", f"{path}/time-entries", freelancer, body=time)
    web.refused(409, "paid_through_eor", "POST", f"{path}/bonuses", client, body={"amount": 1})


def test_an_adjustment_takes_effect_when_another_person_approves_it(own_world: World) -> None:
    web, freelancer = own_world.web, own_world.freelancer
    approve_single(own_world)
    wrong = web.ok("GET", "/v1/events?type=payout.charged.v1")["data"][0]["id"]
    postings = [
        {"account": "platform:adjustments", "direction": "debit", "amount": 700, "currency": "USD"},
        {"account": f"{freelancer}:available", "direction": "credit", "amount": 700, "currency": "USD"},
    ]
    body = {
        "reason": "goodwill",
        "corrects_event_id": wrong,
        "postings": postings,
        "effective_at": "2026-01-05T08:00:00Z",
    }
    proposed = web.ok("POST", "/v1/adjustments", OPERATOR_KEY, body)
    assert (proposed["status"], proposed["reason"], proposed["postings"]) == ("proposed", "goodwill", postings)
    assert balance(web, freelancer, own_world.freelancer_key)[1] == 0
    path = f"/v1/adjustments/{proposed['id']}"
    web.refused(409, "second_operator_required", "POST", f"{path}/approve")
    made = web.ok("POST", "/v1/api-keys", body={"role": "operator"})
    assert made["person"] == "per_bootstrap"
    web.refused(409, "second_operator_required", "POST", f"{path}/approve", made["key"])
    approved = web.ok("POST", f"{path}/approve", own_world.operator_key)
    assert (approved["status"], approved["effective_at"]) == ("approved", "2026-01-05T08:00:00Z")
    assert balance(web, freelancer, own_world.freelancer_key)[1] == 700
    web.refused(409, "already_decided", "POST", f"{path}/approve", own_world.operator_key)
    assert web.ok("GET", path, own_world.auditor_key) == approved
    trial = web.ok("GET", "/v1/audit/trial-balance", params={"as_of": "2026-01-05T08:00:00Z"})
    assert {one["account"]: one["balance"] for one in trial["accounts"]} == {
        "platform:adjustments": -700,
        f"{freelancer}:available": 700,
    }


def test_pending_money_is_not_adjustable_and_the_refusal_says_what_is(own_world: World) -> None:
    event = own_world.web.ok("GET", "/v1/events")["data"][0]["id"]
    postings = [
        {"account": "processor", "direction": "debit", "amount": 1, "currency": "USD"},
        {"account": f"{own_world.freelancer}:pending", "direction": "credit", "amount": 1, "currency": "USD"},
    ]
    body = {"reason": "r", "corrects_event_id": event, "postings": postings}
    problem = own_world.web.refused(422, "validation_error", "POST", "/v1/adjustments", body=body)
    assert problem["errors"][0]["field"] == "body.postings.1.account"
    assert "reverse" in problem["errors"][0]["message"]


def test_parties_see_their_own_events_and_no_texts(own_world: World) -> None:
    web = own_world.web
    approve_single(own_world)
    everything = web.ok("GET", "/v1/events?limit=100", own_world.auditor_key)["data"]
    mine = web.ok("GET", "/v1/events?limit=100", own_world.freelancer_key)["data"]
    assert {event["id"] for event in mine} < {event["id"] for event in everything}
    for event in mine:
        assert event["data"].get("freelancer_id") == own_world.freelancer
    assert web.ok("GET", "/v1/events", own_world.other_freelancer_key)["data"][0]["type"] == "freelancer.registered.v1"
    assert "here it is" not in str(everything)
    charged = web.ok("GET", "/v1/events", own_world.client_key, params={"type": "payout.charged.v1"})["data"]
    assert [event["data"]["amount"] for event in charged] == [50_000]
    assert (
        web.ok("GET", f"/v1/events?payout_id={charged[0]['payout_id']}", own_world.client_key)["data"][-1] == charged[0]
    )


def test_an_auditor_reads_the_trial_balance_and_a_history_with_its_entries(own_world: World) -> None:
    web, key = own_world.web, own_world.auditor_key
    approve_single(own_world)
    trial = web.ok("GET", "/v1/audit/trial-balance", key)
    assert trial["balanced"]
    assert trial["totals"] == [{"currency": "USD", "debit": 50_000, "credit": 50_000}]
    assert web.ok("GET", "/v1/audit/trial-balance?known_at=2026-01-05T08:59:59Z", key)["accounts"] == []
    history = web.ok("GET", f"/v1/audit/contracts/{own_world.contracts['single_payment']['id']}/history", key)
    moved = [event for event in history["data"] if event["entries"]]
    assert [event["type"] for event in moved] == ["payout.charged.v1"]
    assert sum(entry["debit"] - entry["credit"] for entry in moved[0]["entries"]) == 0


def test_a_revoked_key_opens_nothing(own_world: World) -> None:
    web = own_world.web
    made = web.ok("POST", "/v1/api-keys", body={"role": "auditor"})
    assert web.send("GET", "/v1/contracts", made["key"]).status_code == 200
    (listed, *_) = web.ok("GET", "/v1/api-keys")["data"]
    assert (listed["id"], listed["last_used_at"]) == (made["id"], "2026-01-05T09:00:00Z")
    assert made["key"] not in str(listed)
    assert web.send("DELETE", f"/v1/api-keys/{made['id']}").status_code == 204
    assert web.send("DELETE", f"/v1/api-keys/{made['id']}").status_code == 204
    assert web.send("GET", "/v1/contracts", made["key"]).status_code == 401


def test_an_erased_text_is_null_and_everything_else_stays(own_world: World, server: Server) -> None:
    erase_texts(server.admin_url_of(own_world.web.ledger.database.url), own_world.freelancer)
    for kind, contract in own_world.contracts.items():
        shown = own_world.web.ok("GET", f"/v1/contracts/{contract['id']}", own_world.client_key)
        assert (shown["title"], shown["freelancer_email"], shown["status"]) == (f"A {kind}", None, "active")
    freelancer = own_world.web.ok("GET", f"/v1/freelancers/{own_world.freelancer}")
    assert (freelancer["name"], freelancer["email"]) == (None, None)


def test_the_largest_amounts_are_exact(web: Web) -> None:
    world = build(web)
    largest = 10**15
    offer = {**offer_of("single_payment", currency="JPY"), "amount": largest}
    contract = web.ok("POST", "/v1/contracts", world.client_key, offer)
    path = f"/v1/contracts/{contract['id']}"
    web.ok("POST", f"{path}/accept", world.freelancer_key)
    milestone = f"{path}/milestones/{contract['milestones'][0]['id']}"
    web.ok("POST", f"{milestone}/submit", world.freelancer_key)
    web.ok("POST", f"{milestone}/approve", world.client_key)
    assert balance(web, world.freelancer, world.freelancer_key) == (largest, 0, 0)


def test_auditors_ask_whether_the_log_is_intact_and_fetch_the_checkpoints(own_world: World) -> None:
    web = own_world.web
    first = web.ok("GET", "/v1/audit/integrity")
    assert (first["status"], first["position"], first["first_bad_position"]) == ("intact", first["head"], None)

    web.ledger.checkpoints.write(web.ledger.log, web.ledger.clock)
    kept = web.ok("GET", "/v1/audit/checkpoints")
    assert [one["position"] for one in kept["data"]] == [first["head"]]
    assert kept["data"][0]["hash"] == first["hash"]
    assert len(bytes.fromhex(kept["public_key"])) == 32
    assert web.ok("GET", "/v1/audit/integrity")["checkpoints"] == 1
    for signed in (2, 3):
        web.ok(
            "POST", f"/v1/contracts/{own_world.contracts['hourly']['id']}/bonuses", own_world.client_key, {"amount": 5}
        )
        web.ledger.checkpoints.write(web.ledger.log, web.ledger.clock)
        assert web.ok("GET", "/v1/audit/integrity")["checkpoints"] == signed
    assert web.ledger.checkpoints.last() == [*web.ledger.checkpoints.all()][-1]


def test_what_is_signed_while_the_log_is_looked_at_is_no_break(own_world: World) -> None:
    ledger, web = own_world.web.ledger, own_world.web

    class Busy:
        """The log, which goes on and is signed right after its head was read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger.log, name)

        def head_hash(self) -> tuple[int, bytes]:
            head = ledger.log.head_hash()
            path = f"/v1/contracts/{own_world.contracts['hourly']['id']}/bonuses"
            web.ok("POST", path, own_world.client_key, {"amount": 5})
            ledger.checkpoints.write(ledger.log, ledger.clock)
            return head

    watch = IntegrityWatch(cast(LedgerLog, Busy()), ledger.checkpoints, ledger.clock)
    looks = [watch.look() for _ in range(3)]
    assert [(one.status, one.checkpoints) for one in looks] == [("intact", 0), ("intact", 1), ("intact", 2)]


def test_a_checkpoint_that_was_written_over_breaks_the_integrity(own_world: World) -> None:
    web, ledger = own_world.web, own_world.web.ledger
    ledger.checkpoints.write(ledger.log, ledger.clock)
    assert web.ok("GET", "/v1/audit/integrity")["status"] == "intact"
    web.ok("POST", f"/v1/contracts/{own_world.contracts['hourly']['id']}/bonuses", own_world.client_key, {"amount": 5})
    made = ledger.checkpoints.write(ledger.log, ledger.clock)
    assert made is not None
    file = ledger.checkpoints.folder / "checkpoints.jsonl"
    file.write_text(file.read_text().replace(made.hash, made.hash[::-1]))
    broken = web.ok("GET", "/v1/audit/integrity")
    assert (broken["status"], broken["first_bad_position"]) == ("broken", made.position)
