// The function bodies of Boost.Beast, once for all programs.
#include <boost/beast/src.hpp>
