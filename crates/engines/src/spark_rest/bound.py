# Runs a Python program so that it ends with the process that started it: Spark kills a driver's JVM, and not the Python beside it.
import ctypes, os, runpy, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
with open('/proc/%d/environ' % os.getppid(), 'rb') as file:
    if ('FOGGARA_TAG=' + os.environ['FOGGARA_TAG']).encode() not in file.read().split(b'\0'):
        sys.exit('the JVM of this driver is gone')
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name='__main__')
