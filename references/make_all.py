"""Regenerates every reference file in the repository.

    python references/make_all.py
"""

import make_checkpoints
import make_family
import make_golden
import make_lite
import make_metrics
import make_operator_gradients
import make_pictures
import make_pixels
import make_preprocess
import make_quantised
import make_ranks
import make_runs
import make_similarity
import make_tokens
import make_vendor

if __name__ == "__main__":
    make_operator_gradients.main()
    make_preprocess.main()
    make_lite.main()
    make_pictures.main()
    make_checkpoints.main()
    make_golden.main()
    make_family.main()
    make_tokens.main()
    make_quantised.main()
    make_ranks.main()
    make_runs.main()
    make_metrics.main()
    make_similarity.main()
    make_pixels.main()
    make_vendor.main()
