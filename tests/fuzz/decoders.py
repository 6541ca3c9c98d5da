"""Which modules each fuzz target is about: their branches guide atheris, and counting others would only take time."""

INSTRUMENTED = {
    "query": ["obsagent.answer", "obsagent.cli"],
    "header": ["obsagent.wire"],
    "conversation": ["obsagent.wire.frame", "obsagent.receive", "obsagent.store_sink"],
    "answer": ["obsagent.wire.frame", "obsagent.wire.header", "obsagent.record.conversation", "obsagent.ask"],
    "rules": ["obsagent.wire.rules"],
    "records": ["obsagent.by_id"],
    "zmtp": ["obsagent.wire.zmtp", "obsagent.wire.header"],
    "entry": ["obsagent.head.entries", "obsagent.segment.tables", "obsagent.head.state"],
    "journal": ["obsagent.head.entries", "obsagent.head.journal_reader", "obsagent.head.state"],
    "tables": ["obsagent.segment.tables", "obsagent.segment.catalog", "obsagent.head.sessions"],
    "segment": ["obsagent.segment"],
    "config": ["obsagent.config"],
    "identity": ["obsagent.head.directory"],
    "exposition": ["obsagent.collect.exposition", "obsagent.collect.families", "obsagent.collect.restarts"],
    "sketch": ["obsagent.sketches"],
    "reference": ["obsagent.reference"],
    "ledger": ["obsagent.ledger"],
    "performance": ["obsagent.performance"],
    "state": ["obsagent.state_file", "obsagent.evaluate.state", "obsagent.harm"],
}
