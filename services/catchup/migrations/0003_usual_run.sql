-- What a catch-up's run usually takes, for the estimate of when a queued host starts.
CREATE TABLE usual_run (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    microseconds INTEGER NOT NULL
) STRICT;
