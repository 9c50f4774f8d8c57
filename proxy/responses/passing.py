"""The entry of a request among those that pass by the cache."""

from __future__ import annotations

from aiohttp import web

from proxy.cache import LiveResponse, OriginResponse
from proxy.cache.passing import is_never_stored
from proxy.context import RequestContext
from proxy.http.access_record import LOGGED_PATH
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS, destination
from proxy.runtime import Runtime
from proxy.server.fast_path_key import fast_path_key


def add_passing_request(
    request: web.BaseRequest, context: RequestContext, origin: OriginResponse, runtime: Runtime
) -> None:
    """Add what a request was resolved to, where the next of its class will be resolved alike and
    pass by the cache as well. `context` is that, `origin` the response, its fields as they came.
    """
    fast_path = runtime.fast_path
    if fast_path is None or not isinstance(origin, LiveResponse) or LOGGED_PATH in request:
        return
    group = origin.passes_by
    if group is None or not origin.may_share:
        return
    if not is_never_stored(origin.headers):
        return  # whether it may be stored is to be judged each time
    if runtime.site(context).boundary.index.vendors_of_own_request(context.path):
        return  # whether its vendor may act is decided for each request
    if destination(request) in EMBEDDED_DESTINATIONS and context.site.has_patient_pages:
        return  # the page around it counts, by a referrer that is not part of the key
    key = fast_path_key(request, fast_path)
    if key is not None:
        fast_path.add_passing(key, context, group, site=runtime.site(context).enforcement)
