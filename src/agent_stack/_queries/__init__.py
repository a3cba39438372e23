"""The questions the command line asks of logs, one a module: what it counts, and from what.

Most are one statement of SQL over the views of `agent_step_log.query`, which stands in the
module as text, as anybody can run it with ``agent-step-log sql``. `texts` reads the records
themselves, as what a log says is to be searched without its escapes.
"""
