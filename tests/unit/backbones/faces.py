"""Made landmarks: speakers with an identity, who speak with one set of points and express with others."""

import numpy as np

from cmet.backbones.facemesh.basis import fit_basis
from cmet.backbones.facemesh.model import FaceMesh

NUM_SPEAKERS = 6

Faces = dict[str, dict[str, list[np.ndarray]]]
"""`neutral` and `emotional` clips (T, 478, 3) by speaker."""


def made_faces() -> Faces:
    """Six speakers, two expression directions, one lip motion; `fit_basis(**made_faces(), ...)`."""
    random = np.random.default_rng(3)
    shape = random.normal(size=(468, 3)) * [1, 1.3, 0.5]
    expressions = np.zeros((2, 468, 3))
    expressions[0, 40:50, 1] = 0.15
    expressions[1, 80:90, 0] = 0.12
    lips = np.zeros((468, 3))
    lips[85:100, 1] = 0.2
    neutral: dict[str, list[np.ndarray]] = {}
    emotional: dict[str, list[np.ndarray]] = {}
    for number in range(NUM_SPEAKERS):
        identity = shape + np.concatenate([np.zeros((430, 3)), 0.1 * random.normal(size=(38, 3))])

        def clip(code: np.ndarray, identity: np.ndarray = identity) -> np.ndarray:
            speech = np.sin(np.arange(20) + random.uniform(0, 6))[:, None, None] * lips
            # MediaPipe gives ten iris points more
            face = identity + speech + np.tensordot(code, expressions, 1) + 0.002 * random.normal(size=(20, 468, 3))
            return np.concatenate([60 * face + 128, np.zeros((20, 10, 3))], axis=1)

        name = f"M{number:03d}"
        neutral[name] = [clip(np.zeros(2)) for _ in range(3)]
        emotional[name] = [clip(random.normal(size=2)) for _ in range(6)]
    return {"neutral": neutral, "emotional": emotional}


def made_model(num_components: int) -> FaceMesh:
    """A facemesh backbone fitted on made faces."""
    return FaceMesh(fit_basis(**made_faces(), num_components=num_components, ridge=0.01))
