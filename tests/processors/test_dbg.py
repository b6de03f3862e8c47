import cProfile, pstats, time
from tests.processors.test_stripe_webhooks import *
def test_x(world):
    t=time.time(); c=time.process_time()
    orders = list(permutations(range(6)))[::8]
    pr=cProfile.Profile()
    payouts, reports = charged_and_unheard(world, len(orders)), without_a_network(world)
    print("setup", time.time()-t, time.process_time()-c)
    t=time.time(); c=time.process_time()
    pr.enable()
    for order, (_, identifier) in zip(orders, payouts, strict=True):
        story = Story(world, identifier, REFUNDED_THEN_DISPUTED)
        for number in order:
            story.go_to(number)
            reports.take(story.sent[number])
    pr.disable()
    print("take", time.time()-t, time.process_time()-c)
    t=time.time()
    one_state(world, [payout for payout, _ in payouts])
    print("final", time.time()-t)
    pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
    assert 0
