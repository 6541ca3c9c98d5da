"""Questions and answers: the query language, what it reads, and how the pieces merge into an answer.

text ──► language.parse ──► Query ──► plan ──► Plan ──► execute ──► answer (JSON-able)
                                        │                  │
                                   view.series()      view.collect()
"""
