"""Finding flows by name: ``module``, ``module:flow``, or a path to a file."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from omniq_flow.errors import DefinitionError, OmniqError
from omniq_flow.runtime.flow import Flow


def load_flows(reference: str) -> list[Flow[..., object]]:
    """Import a module and return its flow, or all flows that it defines or imports, each once.

    Raises DefinitionError with the way out when the module is not found, fails to import, or has no such flow.
    """
    name, _, wanted = reference.partition(":")
    module = _module(name)
    flows = {attribute: value for attribute, value in vars(module).items() if isinstance(value, Flow)}
    if wanted:
        if wanted not in flows:
            known = ", ".join(f"{name}:{each}" for each in flows) or "no flow at all"
            raise DefinitionError(f"module {name} has no flow {wanted!r}; it has {known}")
        return [flows[wanted]]
    if not flows:
        raise DefinitionError(f"module {name} has no flow: a flow is a function with @flow at the module's top level")
    return list({id(flow): flow for flow in flows.values()}.values())


def load_flow(reference: str) -> Flow[..., object]:
    """Import one flow; raises DefinitionError when the reference leaves open which one."""
    flows = load_flows(reference)
    if len(flows) > 1:
        names = ", ".join(f"{reference}:{flow.__name__}" for flow in flows)
        raise DefinitionError(f"{reference} has several flows, name one of them: {names}")
    return flows[0]


def _module(name: str) -> object:
    path = Path(name)
    if path.suffix == ".py" or "/" in name:
        if not path.is_file():
            raise DefinitionError(f"there is no file {name}; name a module (package.module) or a Python file")
        folder, name = _package_root(path.resolve())
        if folder not in sys.path:
            sys.path.insert(0, folder)
    elif "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise DefinitionError(
                f"there is no module {name} here; modules are looked for in {Path.cwd()} and the installed packages"
            ) from error
        raise DefinitionError(f"module {name} imports {error.name}, which is not installed") from error
    except OmniqError:
        raise
    except (Exception, SystemExit) as error:
        place, what = _place(error)
        raise DefinitionError(f"module {name} fails to import, at {place}: {type(error).__name__}: {what}") from error


def _place(error: BaseException) -> tuple[str, str]:
    """Return where an import failed, as file:line, and with what words."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        # The traceback ends in the import system, which read the file.
        return f"{error.filename}:{error.lineno}", error.msg
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}", str(error)


def _package_root(path: Path) -> tuple[str, str]:
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return str(folder), ".".join(parts)
