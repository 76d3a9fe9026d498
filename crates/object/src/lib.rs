//! Nouns and laws shared by every layer: keys, versions, spans, errors by meaning, flights, the memory budget.
